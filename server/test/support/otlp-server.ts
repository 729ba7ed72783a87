// A collector as far as OTLP/HTTP in JSON goes: https://opentelemetry.io/docs/specs/otlp/ . What it does not understand it refuses.
import { createServer } from 'node:http'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { cleanUp } from './clean-up.ts'

const nanoseconds = z.string().regex(/^\d{13,19}$/)
const attributes = z.array(
  z.strictObject({
    key: z.string().min(1),
    value: z.union([
      z.strictObject({ stringValue: z.string() }),
      z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
      z.strictObject({ doubleValue: z.number() }),
      z.strictObject({ boolValue: z.boolean() }),
    ]),
  }),
)
const traceId = z.string().regex(/^[0-9a-f]{32}$/)
const spanId = z.string().regex(/^[0-9a-f]{16}$/)
const span = z.strictObject({
  traceId,
  spanId,
  parentSpanId: spanId.optional(),
  name: z.string().min(1),
  kind: z.int().min(1).max(5),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
  attributes,
  events: z.array(z.strictObject({ timeUnixNano: nanoseconds, name: z.string().min(1), attributes })),
  links: z.array(z.strictObject({ traceId, spanId })),
  status: z.strictObject({ code: z.int().min(0).max(2) }),
})
const request = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string() }), spans: z.array(span) }),
      ),
    }),
  ),
})
export type SentSpan = z.output<typeof span>

export type OtlpServer = {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string
  readonly spans: SentSpan[]
  /** All that came, as it came. */
  readonly bodies: string[]
  readonly headers: Record<string, string | string[] | undefined>[]
  /** Answered instead of taking what comes. */
  instead: number | undefined
  /** How often it did. */
  refused: number
}

export async function openOtlpServer(t: TestContext): Promise<OtlpServer> {
  const own: { -readonly [K in keyof OtlpServer]: OtlpServer[K] } = {
    ...{ endpoint: '', spans: [], bodies: [], headers: [], instead: undefined, refused: 0 },
  }
  const server = createServer(async (incoming, answer) => {
    let body = ''
    for await (const part of incoming.setEncoding('utf8')) body += part
    if (own.instead !== undefined) {
      own.refused++
      answer.writeHead(own.instead).end()
      return
    }
    const isOurs = incoming.method === 'POST' && incoming.url === '/v1/traces'
    const read = request.safeParse(isOurs ? JSON.parse(body) : undefined)
    own.bodies.push(body)
    own.headers.push(incoming.headers)
    if (read.success)
      for (const { scopeSpans } of read.data.resourceSpans)
        own.spans.push(...scopeSpans.flatMap(({ spans }) => spans))
    answer.writeHead(read.success ? 200 : 400, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens to no port')
  own.endpoint = `http://127.0.0.1:${address.port}`
  return own
}

/** The attributes of a span as an object; numbers as texts. */
export const attributesOf = (given: SentSpan): Record<string, unknown> =>
  Object.fromEntries(given.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
