import { AppError, type Secret } from '../core/index.ts'
import { parseDuration, unreadable } from './duration.ts'
import type { Body } from './engine.ts'

// Clients send numbers and booleans as text now and then, and lists as comma-separated text: Vault takes both.

export function parseBody(text: Secret | undefined): Body {
  if (!text || text.length === 0) return {}
  try {
    // `bao write -f` sends null where there is nothing to say.
    const parsed: unknown = parseExact(text.reveal()) ?? {}
    if (isObject(parsed)) return parsed
  } catch {
    // The parser's own words may quote the body.
  }
  throw new AppError('request.invalid', 'failed to parse JSON input: the body must be a JSON object')
}

/** What every Node has that runs this, and the types of the language not yet. */
type ExactJson = {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown
  rawJSON(text: string): unknown
  isRawJSON(value: unknown): boolean
}
const exact = JSON as unknown as ExactJson
/** A number that JavaScript would write in another form: with many digits, a zero at its end, or an exponent. */
const unusualNumber = /[[:,]\s*-?(?:\d{16}|\d+\.\d{15}|\d+\.\d*0(?!\d)|\d[\d.]*[eE])/

/** As Vault keeps them, numbers keep their form, whatever they are: an id of twenty digits, a price of 1.10. */
function parseExact(text: string): unknown {
  if (!unusualNumber.test(text)) return JSON.parse(text)
  return exact.parse(text, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source
      ? exact.rawJSON(source)
      : value,
  )
}

/** A number that is kept in its form, as a number. */
const plainNumber = (value: unknown): unknown =>
  exact.isRawJSON(value) ? Number(JSON.stringify(value)) : value

export function textField(body: Body, name: string): string | undefined {
  const value = plainNumber(body[name])
  if (value === undefined || value === null) return undefined
  if (typeof value === 'object') throw invalid(name, 'text')
  return String(value)
}

export function booleanField(body: Body, name: string): boolean | undefined {
  const value = body[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'boolean') return value
  if (typeof value === 'object') throw invalid(name, 'true or false')
  const text = String(value).toLowerCase()
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw invalid(name, 'true or false')
}

export function countField(
  body: Body,
  name: string,
  negativeWords = `${name} cannot be negative`,
): number | undefined {
  const value = plainNumber(body[name])
  if (value === undefined || value === null || value === '') return undefined
  const count = typeof value === 'string' ? Number(value) : value
  if (typeof count !== 'number' || !Number.isSafeInteger(count)) throw invalid(name, 'a whole number')
  if (count < 0) throw new AppError('request.invalid', negativeWords)
  return count
}

export function listField(body: Body, name: string): string[] | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value)) {
    const items = value.map(plainNumber)
    // An object may have a `toString` of its own making.
    if (items.some((item) => typeof item === 'object')) throw invalid(name, 'a list of texts')
    return items.map(String)
  }
  if (typeof value === 'object') throw invalid(name, 'a list')
  return String(value)
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

export function textMapField(body: Body, name: string): Record<string, string> | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw invalid(name, 'an object')
  const map: Record<string, string> = {}
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === 'object' && item !== null) throw invalid(name, `text, also for "${key}"`)
    map[key] = String(item ?? '')
  }
  return map
}

export const durationField = (body: Body, name: string): number | undefined =>
  parseDuration(plainNumber(body[name]), name)

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !exact.isRawJSON(value)

const invalid = (name: string, wanted: string): AppError => unreadable(name, `it must be ${wanted}`)
