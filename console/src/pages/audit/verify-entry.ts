import type { AuditEntry, AuditHead, Json } from '@keyward/contract'

export type Check = 'match' | 'mismatch' | 'unavailable'

/** JSON with sorted keys and no white space, as the chain hashes it (RFC 8785 for the values in use). */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] ?? null)}`).join(',')}}`
}

/** Computes the entry's hash from its other fields, here, and compares. Browsers offer this on https and localhost only. */
export async function verifyEntry(entry: AuditEntry): Promise<Check> {
  if (!crypto.subtle) return 'unavailable'
  const { hash, ...rest } = entry
  const bytes = new TextEncoder().encode(canonicalJson(rest))
  return hex(await crypto.subtle.digest('SHA-256', bytes)) === hash ? 'match' : 'mismatch'
}

/** Checks the head's Ed25519 signature with the key that it names. */
export async function verifyHead({ seq, hash, at, signature, publicKey }: AuditHead): Promise<Check> {
  try {
    const key = await crypto.subtle.importKey(
      'spki',
      bytesOf(publicKey.replace(/-----[^-]+-----|\s/g, '')),
      'Ed25519',
      false,
      ['verify'],
    )
    const signed = new TextEncoder().encode(canonicalJson({ seq, hash, at }))
    return (await crypto.subtle.verify('Ed25519', key, bytesOf(signature), signed)) ? 'match' : 'mismatch'
  } catch {
    return 'unavailable'
  }
}

function hex(buffer: ArrayBuffer): string {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}
