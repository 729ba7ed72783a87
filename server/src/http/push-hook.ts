import type { FastifyInstance } from 'fastify'
import type { Delivery } from '../hooks/index.ts'

export type ReceivePush = (scheduleId: string, delivery: Delivery) => Promise<boolean>

/** A push of a few thousand commits; GitHub sends up to 25 MB, and such a delivery is refused. */
const largestPushBytes = 5 * 1024 * 1024

/**
 * Where git providers send pushes to. Who sends is told by the signature over the bytes as they came, so nothing parses them before;
 * no session is looked at.
 */
export function mountPushHook(app: FastifyInstance, receive: ReceivePush): void {
  app.register(async (own) => {
    own.removeAllContentTypeParsers()
    own.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
    own.post<{ Params: { scheduleId: string } }>(
      '/api/v1/hooks/:scheduleId',
      { bodyLimit: largestPushBytes },
      async ({ params, headers, body }, reply) => {
        const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
        const accepted = await receive(params.scheduleId, { headers, body: bytes })
        return reply.code(accepted ? 202 : 200).send({ accepted })
      },
    )
  })
}
