import { randomBytes } from 'node:crypto'
import { Secret } from '../../core/index.ts'
import { keyBytes } from '../barrier/key-ring.ts'
import { readRecipients } from './pgp.ts'
import { checkHolders, type HolderOptions } from './seal-config.ts'
import { splitKey } from './shamir.ts'

/** A key and what its holders get of it. */
export type NewKey = {
  readonly key: Buffer
  /** In hexadecimal; a PGP message for its holder, where they gave keys. */
  readonly shares: readonly Secret[]
  readonly fingerprints: readonly string[]
}

export async function makeKey(holders: HolderOptions, what: string): Promise<NewKey> {
  checkHolders(holders, what)
  const recipients = await readRecipients(holders.pgpKeys ?? [])
  const key = randomBytes(keyBytes)
  const parts = await splitKey(key, holders.shares, holders.threshold)
  const shares = await Promise.all(
    parts.map(async (part, i) => {
      const text = part.toString('hex')
      const encrypted = await recipients[i]?.encrypt(text)
      return new Secret(encrypted ? encrypted.toString('hex') : text)
    }),
  )
  for (const part of parts) part.fill(0)
  return { key, shares, fingerprints: recipients.map(({ fingerprint }) => fingerprint) }
}

/** A share in hexadecimal or base64. Hexadecimal first: every such text is also base64, but not the share that was meant. */
export function shareBytes(text: string): Buffer | undefined {
  const clean = text.trim()
  if (/^(?:[0-9a-fA-F]{2})+$/.test(clean)) return Buffer.from(clean, 'hex')
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(clean)) return Buffer.from(clean, 'base64')
  return undefined
}

export const shareLength = (threshold: number): number => (threshold === 1 ? keyBytes : keyBytes + 1)
