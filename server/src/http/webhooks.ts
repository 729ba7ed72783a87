import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Delivery } from '../hooks/index.ts'

export type ReceiveHooks = {
  /** Of a git provider, for a schedule; whether it was a push. */
  push(scheduleId: string, delivery: Delivery): Promise<boolean>
  /** Of GitHub, for a connection; what it led to. */
  event(connectionId: string, delivery: Delivery): Promise<'starts' | 'wakes' | 'ping' | 'unused'>
}

/** A push of a few thousand commits; GitHub sends up to 25 MB, and such a delivery is refused. */
const largestBytes = 5 * 1024 * 1024

/**
 * Where services send events to. Who sends is told by the signature over the bytes as they came, so nothing parses them before; no
 * session is looked at.
 */
export function mountWebhooks(app: FastifyInstance, receive: ReceiveHooks): void {
  app.register(async (own) => {
    own.removeAllContentTypeParsers()
    own.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
    const post = (
      path: string,
      take: (id: string, delivery: Delivery, reply: FastifyReply) => Promise<unknown>,
    ) =>
      own.post<{ Params: { id: string } }>(
        path,
        { bodyLimit: largestBytes },
        ({ params, headers, body }, reply) => {
          const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
          return take(params.id, { headers, body: bytes }, reply)
        },
      )
    post('/api/v1/hooks/:id', async (id, delivery, reply) => {
      const accepted = await receive.push(id, delivery)
      return reply.code(accepted ? 202 : 200).send({ accepted })
    })
    post('/api/v1/hooks/github/:id', async (id, delivery, reply) => {
      const use = await receive.event(id, delivery)
      return reply.code(use === 'starts' ? 202 : 200).send({ use })
    })
  })
}
