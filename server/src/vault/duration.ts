import { AppError } from '../core/index.ts'

const unitSeconds: Record<string, number> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
}
const shape = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+$/
/** What 2^63 nanoseconds are, which is as long as a duration can be for Vault's clients: 292 years. */
const longestSeconds = 9_223_372_036
const part = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g

/** What Vault's clients are told of a value that cannot be what it should. */
export const unreadable = (field: string, why: string): AppError =>
  new AppError(
    'request.invalid',
    `Field validation failed: error converting input for field "${field}": ${why}`,
  )

/** Seconds from a number, `"90"`, `"1h30m"` or `"7d"`, as Vault's clients write durations; whole seconds, rounded down. */
export function parseDuration(
  value: unknown,
  field: string,
  refuse: (why: string) => AppError = (why) => unreadable(field, why),
): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  // An object may have a `toString` of its own making.
  const text = typeof value === 'object' ? '' : String(value).trim()
  if (/^\d+(\.\d+)?$/.test(text)) return wholeSeconds(Number(text), refuse)
  if (text.startsWith('-')) throw refuse('a duration cannot be negative')
  if (!shape.test(text)) throw refuse('no duration: write seconds, or for example 30m, 1h30m or 7d')
  let seconds = 0
  for (const [, amount = '0', unit = 's'] of text.matchAll(part))
    seconds += Number(amount) * (unitSeconds[unit] ?? 0)
  return wholeSeconds(seconds, refuse)
}

function wholeSeconds(seconds: number, refuse: (why: string) => AppError): number {
  if (seconds > longestSeconds) throw refuse('too long: 292 years are the most')
  // 1.15 minutes are 69 seconds, and a little less in binary fractions.
  return Math.floor(Number(seconds.toFixed(6)))
}

/** `2h` instead of `2h0m0s`, as Vault names durations in sentences. */
export const terseDuration = (seconds: number): string =>
  formatDuration(seconds)
    .replace(/(?<=[hm])0s$/, '')
    .replace(/(?<=h)0m$/, '')

/** `3h25m19s`, as Vault prints a duration; `0s` for none. */
export function formatDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  const rest = seconds % 60
  if (hours > 0) return `${hours}h${minutes}m${rest}s`
  return minutes > 0 ? `${minutes}m${rest}s` : `${rest}s`
}
