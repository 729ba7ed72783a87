import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { AppError, callService, reasonOf } from '../../core/index.ts'
import { type ActionContext, type Connector, defineAction, type OpenConnection } from '../connector.ts'

const settings = z.strictObject({
  /** Of the service that is watched, or of a server with the query API of Prometheus. */
  address: z.url({ protocol: /^https?$/ }),
  /** Of the authority that signed its certificate, when it is not a public one. */
  caPem: z.string().max(20_000).optional(),
  /** Asked by the health check. */
  healthPath: z.string().startsWith('/').max(500).default('/'),
  /** It wants the bearer token of the connection's secret. */
  bearer: z.boolean().default(false),
})

const tokenField = 'token'
const window = {
  everySeconds: z.number().min(0.05).max(3600).default(10),
  windowSeconds: z.number().min(0).max(86_400).default(300),
  /** More failures than these, and it is not well. */
  allowedFailures: z.int().min(0).max(10_000).default(0),
}
const seen = z.strictObject({ checks: z.int(), failures: z.int(), last: z.string() })

const healthInput = z.strictObject({
  path: z.string().startsWith('/').max(500).default('/'),
  status: z.int().min(100).max(599).default(200),
  /** Text that the answer must have. */
  contains: z.string().max(200).optional(),
  ...window,
})

const queryInput = z
  .strictObject({
    /** PromQL; its first sample counts. */
    query: z.string().min(1).max(2000),
    above: z.number().optional(),
    below: z.number().optional(),
    ...window,
  })
  .refine(({ above, below }) => above !== undefined || below !== undefined, 'say above, below or both')

type Look = () => Promise<{ readonly well: boolean; readonly words: string }>

/** Looks again and again for the window; throws as soon as it has failed too often. */
async function watch(
  context: Pick<ActionContext, 'signal' | 'now'>,
  { everySeconds, windowSeconds, allowedFailures }: z.output<z.ZodObject<typeof window>>,
  look: Look,
): Promise<z.output<typeof seen>> {
  const end = context.now().getTime() + windowSeconds * 1000
  let [checks, failures, last] = [0, 0, '']
  for (;;) {
    context.signal.throwIfAborted()
    const { well, words } = await look()
    checks += 1
    last = words
    if (!well) failures += 1
    if (failures > allowedFailures)
      throw new AppError(
        'task.failed',
        `${failures} of ${checks} looks found it not well; the last: ${words}`,
      )
    if (context.now().getTime() + everySeconds * 1000 > end) return { checks, failures, last }
    await wait(everySeconds * 1000, undefined, { signal: context.signal })
  }
}

type Ask = (path: string) => ReturnType<typeof callService>

/** Reads the token once, however often is asked. */
async function asking(
  connection: OpenConnection & Partial<Pick<ActionContext, 'traceparent'>>,
): Promise<Ask> {
  const { address, caPem, bearer } = settings.parse(connection.settings)
  const token = bearer ? await connection.secret(tokenField) : undefined
  const { traceparent } = connection
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
    ...(traceparent === undefined ? {} : { traceparent }),
  }
  const base = address.replace(/\/$/, '')
  return (path) => callService({ url: `${base}${path}`, method: 'GET', body: '', caPem, headers })
}

const lookAtHealth =
  (ask: Ask, { path, status, contains }: z.output<typeof healthInput>): Look =>
  async () => {
    try {
      const answer = await ask(path)
      const well = answer.status === status && (contains === undefined || answer.text.includes(contains))
      return { well, words: `${path} answered ${answer.status}` }
    } catch (error) {
      return { well: false, words: reasonOf(error) }
    }
  }

const sample = z.object({
  status: z.literal('success'),
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
})

const lookAtMetric =
  (ask: Ask, { query, above, below }: z.output<typeof queryInput>): Look =>
  async () => {
    try {
      const { status, text } = await ask(`/api/v1/query?${new URLSearchParams({ query })}`)
      if (status !== 200) return { well: false, words: `the query was answered ${status}` }
      const [first] = sample.parse(JSON.parse(text)).data.result
      if (!first) return { well: false, words: 'the query has no sample' }
      const value = Number(first.value[1])
      const well = (above === undefined || value > above) && (below === undefined || value < below)
      return { well, words: `the value is ${value}` }
    } catch (error) {
      const words =
        error instanceof z.ZodError || error instanceof SyntaxError
          ? 'no answer of Prometheus'
          : reasonOf(error)
      return { well: false, words }
    }
  }

const common = {
  output: seen,
  risk: 'low',
  reversible: true,
  idempotent: true,
  effect: 'read',
  permissions: [],
  secretFields: [tokenField],
} as const

/** Watches a service by what it answers, or by its metrics. It changes nothing there. */
export const monitor: Connector = {
  name: 'monitor',
  title: 'Health and metrics over HTTP',
  docs: 'https://prometheus.io/docs/prometheus/latest/querying/api/',
  settings,
  secretFields: [{ name: tokenField, title: 'Bearer token', optional: true }],
  actions: [
    defineAction({
      ...common,
      name: 'monitor.health',
      title: 'Watch that a page is answered as it should be',
      input: healthInput,
      execute: async (context: ActionContext<z.output<typeof healthInput>>) =>
        watch(context, context.input, lookAtHealth(await asking(context), context.input)),
    }),
    defineAction({
      ...common,
      name: 'monitor.query',
      title: 'Watch that a metric stays within bounds',
      input: queryInput,
      execute: async (context: ActionContext<z.output<typeof queryInput>>) =>
        watch(context, context.input, lookAtMetric(await asking(context), context.input)),
    }),
  ],
  async health(connection) {
    const { healthPath } = settings.parse(connection.settings)
    const { status } = await (await asking(connection))(healthPath)
    return {
      state: status < 400 ? 'up' : status < 500 ? 'degraded' : 'down',
      detail: `${healthPath} answered ${status}`,
    }
  },
}
