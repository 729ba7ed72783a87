import { createHash } from 'node:crypto'
import type { Json } from '@keyward/contract'

/** JSON with sorted keys and no white space: the same value gives the same bytes (RFC 8785 for the values we use). */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  let members = ''
  for (const key of sortedKeys(value))
    members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`
  return `{${members}}`
}

/** Most objects are small and have their keys in order already. */
export function sortedKeys(value: object): string[] {
  const keys = Object.keys(value)
  for (let i = 1; i < keys.length; i++) if ((keys[i - 1] ?? '') > (keys[i] ?? '')) return keys.sort()
  return keys
}

/** SHA-256 of the canonical JSON, lower-case hex. */
export function digestOf(value: Json): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}
