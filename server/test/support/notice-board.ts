import { z } from 'zod'
import { type Connector, defineAction, type OpenConnection } from '../../src/connectors/index.ts'
import { AppError } from '../../src/core/index.ts'

const settings = z.strictObject({ url: z.url() })

type Call = { method: 'GET' | 'POST'; path: string; body?: unknown; key?: string; signal: AbortSignal }

/** One request; every failure becomes one of the five codes that runs understand. */
async function ask(connection: OpenConnection, { method, path, body, key, signal }: Call): Promise<unknown> {
  const { url } = settings.parse(connection.settings)
  const token = await connection.secret('token')
  const answer = await fetch(`${url}${path}`, {
    method,
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    headers: { authorization: `Bearer ${token.reveal()}`, ...(key ? { 'idempotency-key': key } : {}) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    signal.throwIfAborted()
    // The key makes a repetition harmless, so it need not be known whether the board took it.
    throw new AppError('connector.unavailable', 'the board gives no answer', { cause: error })
  })
  if (answer.ok) return answer.json()
  await answer.body?.cancel()
  throw failureOf(answer)
}

function failureOf({ status, headers }: Response): AppError {
  const words = `the board answered ${status}`
  if (status === 401 || status === 403) return new AppError('connector.unauthorized', words)
  if (status === 429) {
    const retryAfterSeconds = Number(headers.get('retry-after') ?? 60)
    return new AppError('connector.rate_limited', words, { retryAfterSeconds })
  }
  return new AppError(status >= 500 ? 'connector.unavailable' : 'connector.refused', words)
}

export const noticeBoard: Connector = {
  name: 'notice-board',
  title: 'Notice board',
  docs: 'https://board.example/docs',
  settings,
  secretFields: [{ name: 'token', title: 'Access token' }],
  actions: [
    defineAction({
      name: 'notice-board.post',
      title: 'Post a notice',
      input: z.strictObject({ text: z.string().min(1).max(500) }),
      output: z.strictObject({ id: z.string() }),
      risk: 'low',
      reversible: true,
      idempotent: true,
      permissions: ['notices:write'],
      secretFields: ['token'],
      preview: async ({ input }) => ({ text: input.text }),
      async execute(context) {
        const { input: body, idempotencyKey: key, signal } = context
        const made = await ask(context, { method: 'POST', path: '/notices', body, key, signal })
        return z.object({ id: z.string() }).parse(made)
      },
    }),
  ],
  async health(connection, signal) {
    await ask(connection, { method: 'GET', path: '/health', signal })
    return { state: 'up', detail: 'the board answers' }
  },
}
