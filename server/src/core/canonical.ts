import { createHash } from 'node:crypto'
import type { Json } from '@keyward/contract'

/** JSON with sorted keys and no white space: the same value gives the same bytes (RFC 8785 for the values we use). */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`)
  return `{${members.join(',')}}`
}

/** SHA-256 of the canonical JSON, lower-case hex. */
export function digestOf(value: Json): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}
