import { AppError } from '../../core/index.ts'
import type { Reader } from '../../store/index.ts'
import { readKey } from '../vault-store.ts'
import { decrypt } from './cipher.ts'
import { type KeyRing, keyRingFromBytes } from './key-ring.ts'

export const keyRingContext = 'keyring'

/** The stored ring, opened with the root key. */
export async function readRing(reader: Reader, rootKey: Buffer): Promise<KeyRing> {
  const sealed = await readKey(reader, 'keyring')
  const ring = sealed && openStoredRing(sealed, rootKey)
  if (!ring) throw corrupt('The key ring')
  return ring
}

export function openStoredRing(sealed: Uint8Array, rootKey: Buffer): KeyRing | undefined {
  const bytes = decrypt(rootKey, keyRingContext, sealed)
  if (!bytes) return undefined
  const ring = keyRingFromBytes(bytes)
  bytes.fill(0)
  return ring
}

export const corrupt = (what: string): AppError =>
  new AppError(
    'vault.entry_corrupt',
    `${what} in the vault's storage was altered, moved or damaged. Restore the database from a backup.`,
  )
