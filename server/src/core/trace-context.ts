import { digestOf } from './canonical.ts'

/** A span of a trace, by their ids in lowercase hexadecimal: https://www.w3.org/TR/trace-context/ */
export type SpanContext = { readonly traceId: string; readonly spanId: string; readonly sampled: boolean }

type Attempt = { readonly runId: string; readonly taskId: string; readonly attempt: number }

/** Worked out of the run's id, so that every process that carries the run, one after the other, says the same. */
export const traceIdOf = (runId: string): string => digestOf(`trace of ${runId}`).slice(0, 32)

export const spanIdOf = (...about: readonly (string | number)[]): string => digestOf([...about]).slice(0, 16)

export const attemptSpanId = ({ runId, taskId, attempt }: Attempt): string =>
  spanIdOf('attempt', runId, taskId, attempt)

/** The attempt as the parent of what others do for it, as the header `traceparent` and the variable `TRACEPARENT` say it. */
export const traceparentOf = (attempt: Attempt): string =>
  formatTraceparent({ traceId: traceIdOf(attempt.runId), spanId: attemptSpanId(attempt), sampled: true })

export const formatTraceparent = ({ traceId, spanId, sampled }: SpanContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/

/** Undefined when it is none; the recommendation has what is malformed passed over. */
export function parseTraceparent(header: string): SpanContext | undefined {
  const [, version = 'ff', traceId = '', spanId = '', flags = '00'] = shape.exec(header) ?? []
  const isLonger = header.length > 55
  if (version === 'ff' || (version === '00' && isLonger) || /^0+$/.test(traceId) || /^0+$/.test(spanId))
    return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
