import { AppError, type Secret } from '../core/index.ts'
import { parseDuration } from './duration.ts'
import type { Body } from './engine.ts'

// Clients send numbers and booleans as text now and then, and lists as comma-separated text: Vault takes both.

export function parseBody(text: Secret | undefined): Body {
  if (!text || text.length === 0) return {}
  try {
    // `bao write -f` sends null where there is nothing to say.
    const parsed: unknown = JSON.parse(text.reveal()) ?? {}
    if (isObject(parsed)) return parsed
  } catch {
    // The parser's own words may quote the body.
  }
  throw new AppError('request.invalid', 'failed to parse JSON input: the body must be a JSON object')
}

export function textField(body: Body, name: string): string | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'object') throw invalid(name, 'text')
  return String(value)
}

export function booleanField(body: Body, name: string): boolean | undefined {
  const value = body[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'boolean') return value
  const text = String(value).toLowerCase()
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw invalid(name, 'true or false')
}

export function countField(body: Body, name: string): number | undefined {
  const value = body[name]
  if (value === undefined || value === null || value === '') return undefined
  const count = typeof value === 'string' ? Number(value) : value
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0)
    throw invalid(name, 'a whole number')
  return count
}

export function listField(body: Body, name: string): string[] | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value)) return value.map(String)
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
    if (typeof item === 'object') throw invalid(`${name}.${key}`, 'text')
    map[key] = String(item)
  }
  return map
}

export const durationField = (body: Body, name: string): number | undefined => parseDuration(body[name], name)

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const invalid = (name: string, wanted: string): AppError =>
  new AppError('request.invalid', `field validation failed: "${name}" must be ${wanted}`)
