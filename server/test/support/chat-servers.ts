// Services that channels speak to, as their documentation describes them: on loopback, with plain HTTP.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { cleanUp } from './clean-up.ts'

export type Seen = {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly text: string
}
/** `status: 0`: the request is taken, and the answer never comes. */
type Answer = { status?: number; headers?: Record<string, string>; body?: unknown }
export type Service = {
  readonly url: string
  readonly seen: Seen[]
  /** What the next requests are answered with, before what is usual. */
  readonly next: Answer[]
}

/** Keeps what it is sent and answers as `usual` says. */
export async function startService(t: TestContext, usual: (seen: Seen) => Answer): Promise<Service> {
  const seen: Seen[] = []
  const next: Answer[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { method = '', url = '', headers } = request
    const one = { method, path: url, headers, text: Buffer.concat(parts).toString() }
    seen.push(one)
    const { status = 200, headers: sent = {}, body = '' } = next.shift() ?? usual(one)
    if (status === 0) return void request.socket.destroy()
    response.writeHead(
      status,
      typeof body === 'string' ? sent : { 'content-type': 'application/json', ...sent },
    )
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, seen, next }
}

export type SlackPost = { readonly ts: string; blocks: SlackBlock[]; text: string }
export type SlackBlock = {
  readonly type: string
  readonly text?: { readonly text: string }
  readonly fields?: readonly { readonly text: string }[]
  readonly elements?: readonly {
    readonly action_id: string
    readonly value?: string
    readonly url?: string
  }[]
}

/** Slack's Web API: chat.postMessage, chat.update, chat.postEphemeral, auth.test. */
export async function startSlack(t: TestContext, token: string) {
  const posts: SlackPost[] = []
  const whispers: { user: string; text: string }[] = []
  const methods: Readonly<Record<string, (form: URLSearchParams) => object>> = {
    'auth.test': () => ({ ok: true, team_id: 'T01' }),
    'chat.postMessage'(form) {
      const post = { ts: `17000000${posts.length}.000100`, ...saidIn(form) }
      posts.push(post)
      return { ok: true, channel: form.get('channel'), ts: post.ts }
    },
    'chat.update'(form) {
      const post = posts.find(({ ts }) => ts === form.get('ts'))
      if (!post) return { ok: false, error: 'message_not_found' }
      Object.assign(post, saidIn(form))
      return { ok: true, channel: form.get('channel'), ts: post.ts }
    },
    'chat.postEphemeral'(form) {
      whispers.push({ user: form.get('user') ?? '', text: form.get('text') ?? '' })
      return { ok: true, message_ts: '1.1' }
    },
  }
  const service = await startService(t, ({ path, headers, text }) => {
    if (headers.authorization !== `Bearer ${token}`) return { body: { ok: false, error: 'invalid_auth' } }
    const method = methods[path.replace('/api/', '')]
    return { body: method?.(new URLSearchParams(text)) ?? { ok: false, error: 'unknown_method' } }
  })
  return { ...service, apiUrl: `${service.url}api/`, posts, whispers }
}

const saidIn = (form: URLSearchParams) => ({
  blocks: JSON.parse(form.get('blocks') ?? '[]') as SlackBlock[],
  text: form.get('text') ?? '',
})

/** The texts of a message. */
export const wordsOf = ({ blocks }: SlackPost): string =>
  blocks
    .flatMap(({ text, fields = [] }) => [text?.text ?? '', ...fields.map((field) => field.text)])
    .join('\n')

export const buttonsOf = ({ blocks }: SlackPost) => blocks.flatMap(({ elements = [] }) => elements)
