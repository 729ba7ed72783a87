import type { FastifyInstance } from 'fastify'
import type { Inbound, Reply } from '../channels/index.ts'

export type ReceiveFromChannel = (from: 'slack' | 'teams', request: Inbound) => Promise<Reply>

/** What a button or a command brings along is a few kilobytes, and the message that it stood in. */
const largestBytes = 256 * 1024

/** Where Slack and Teams send what people do there. The signature over the bytes tells who sends; no session is looked at. */
export function mountChannelHooks(app: FastifyInstance, receive: ReceiveFromChannel): void {
  const places = {
    '/hooks/slack/interactive': 'slack',
    '/hooks/slack/command': 'slack',
    '/hooks/teams': 'teams',
  } as const
  app.register(async (own) => {
    own.removeAllContentTypeParsers()
    own.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
    for (const [path, from] of Object.entries(places))
      own.post(path, { bodyLimit: largestBytes }, async ({ headers, body }, reply) => {
        const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
        const answer = await receive(from, { headers, body: bytes })
        return reply.code(answer.status).send(answer.body)
      })
  })
}
