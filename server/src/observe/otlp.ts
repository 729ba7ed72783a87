import { AppError, callService, Secret, type ServiceAnswer } from '../core/index.ts'
import type { Attributes, Span } from './spans.ts'

/** What is sent to, by the variables that OpenTelemetry names; docs/how-to/watch.md lists them. */
export type OtlpSettings = {
  readonly url: string
  readonly headers: Readonly<Record<string, Secret>>
  readonly resource: Attributes
}

/** Undefined where nothing names an endpoint. Throws `request.invalid` for what cannot be meant. */
export function otlpSettings(
  env: Readonly<Record<string, string | undefined>>,
  version: string,
): OtlpSettings | undefined {
  const base = env['OTEL_EXPORTER_OTLP_ENDPOINT']
  const named = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || (base && `${base.replace(/\/+$/, '')}/v1/traces`)
  if (!named || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined
  if (!/^https?:/.test(URL.parse(named)?.protocol ?? ''))
    throw new AppError('request.invalid', 'OTEL_EXPORTER_OTLP_ENDPOINT: this is no address of HTTP')
  const headers = pairsIn(
    env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] ?? env['OTEL_EXPORTER_OTLP_HEADERS'],
    'OTEL_EXPORTER_OTLP_HEADERS',
  )
  return {
    url: named,
    headers: Object.fromEntries(headers.map(([name, value]) => [name, new Secret(value)])),
    resource: {
      'service.version': version,
      ...Object.fromEntries(pairsIn(env['OTEL_RESOURCE_ATTRIBUTES'], 'OTEL_RESOURCE_ATTRIBUTES')),
      'service.name': env['OTEL_SERVICE_NAME'] || 'keyward',
    },
  }
}

/** `name=value,name=value`, percent-encoded: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
function pairsIn(given: string | undefined, variable: string): [string, string][] {
  return (given ?? '')
    .split(',')
    .filter((pair) => pair.trim() !== '')
    .map((pair) => {
      const at = pair.indexOf('=')
      try {
        if (at < 1) throw new Error('no name')
        return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]
      } catch {
        throw new AppError('request.invalid', `${variable} must be name=value,name=value, percent-encoded`)
      }
    })
}

const kinds = { internal: 1, client: 3 } as const
const statuses = { unset: 0, error: 2 } as const

/** Sends spans once by OTLP/HTTP in JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export function sendSpans(
  { url, headers, resource }: OtlpSettings,
  spans: readonly Span[],
): Promise<ServiceAnswer> {
  const sent = Object.entries(headers).map(([name, value]) => [name, value.reveal()] as const)
  return callService({
    url,
    headers: { ...Object.fromEntries(sent), 'content-type': 'application/json' },
    body: JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: listOf(resource) },
          scopeSpans: [{ scope: { name: 'keyward' }, spans: spans.map(wireSpan) }],
        },
      ],
    }),
  })
}

const wireSpan = (span: Span) => ({
  traceId: span.traceId,
  spanId: span.spanId,
  ...(span.parentSpanId === undefined ? {} : { parentSpanId: span.parentSpanId }),
  name: span.name,
  kind: kinds[span.kind],
  startTimeUnixNano: nanosecondsOf(span.startAt),
  endTimeUnixNano: nanosecondsOf(span.endAt),
  attributes: listOf(span.attributes),
  events: span.events.map(({ at, name, attributes }) => ({
    timeUnixNano: nanosecondsOf(at),
    name,
    attributes: listOf(attributes),
  })),
  links: span.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
  status: { code: span.failed ? statuses.error : statuses.unset },
})

/** 64-bit numbers are texts in JSON. */
const nanosecondsOf = (milliseconds: number): string => `${milliseconds}000000`

const listOf = (attributes: Attributes) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: wireValue(value) }))

function wireValue(value: Attributes[string]) {
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'string') return { stringValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
