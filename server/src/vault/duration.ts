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

/** Seconds from a number, `"90"`, `"1h30m"` or `"7d"`, as Vault's clients write durations; whole seconds, rounded down. */
export function parseDuration(value: unknown, field: string): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  // An object may have a `toString` of its own making.
  const text = typeof value === 'object' ? '' : String(value).trim()
  if (/^\d+(\.\d+)?$/.test(text)) return wholeSeconds(Number(text), field)
  if (text.startsWith('-')) throw new AppError('request.invalid', `${field} must be positive`)
  if (!shape.test(text))
    throw new AppError(
      'request.invalid',
      `${field} is no duration: write seconds, or for example 30m, 1h30m or 7d`,
    )
  let seconds = 0
  for (const [, amount = '0', unit = 's'] of text.matchAll(part))
    seconds += Number(amount) * (unitSeconds[unit] ?? 0)
  return wholeSeconds(seconds, field)
}

function wholeSeconds(seconds: number, field: string): number {
  if (seconds > longestSeconds)
    throw new AppError('request.invalid', `${field} is too long: 292 years are the most`)
  // 1.15 minutes are 69 seconds, and a little less in binary fractions.
  return Math.floor(Number(seconds.toFixed(6)))
}

/** `3h25m19s`, as Vault prints a duration; `0s` for none. */
export function formatDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  const rest = seconds % 60
  if (hours > 0) return `${hours}h${minutes}m${rest}s`
  return minutes > 0 ? `${minutes}m${rest}s` : `${rest}s`
}
