import { AppError } from '../../core/index.ts'
import type { AutoSealKind, SealKind } from './key-wrapper.ts'

export type Holders = { readonly shares: number; readonly threshold: number }
/** `digest` is the SHA-256 of a random 256-bit key, in hexadecimal: it proves the key and tells nothing of it. */
export type RecoveryConfig = Holders & { readonly digest: string }
/** How the vault is sealed, as it is stored: nothing in it is secret. */
export type SealConfig = Holders & { readonly seal: SealKind; readonly recovery?: RecoveryConfig }

/** Who gets shares, and the PGP keys that these are encrypted with: one for each, or none. */
export type HolderOptions = Holders & { readonly pgpKeys?: readonly string[] }
export type SealOptions =
  | ({ readonly seal: 'shamir' } & HolderOptions)
  /** With no `recovery`, or with 0 shares, nobody holds a recovery key. */
  | { readonly seal: AutoSealKind; readonly recovery?: HolderOptions }

/** What the root key is bound to when it is encrypted. */
export const rootContext = 'root'
const maxShares = 255

export function checkHolders({ shares, threshold, pgpKeys = [] }: HolderOptions, what: string): void {
  const invalid = (why: string): AppError =>
    new AppError('request.invalid', `invalid ${what} configuration: ${why}`)
  const whole = Number.isInteger(shares) && Number.isInteger(threshold)
  if (!whole || shares < 1 || shares > maxShares || threshold < 1 || threshold > shares)
    throw invalid(`1 to ${maxShares} shares and a threshold between 1 and the number of shares.`)
  if (shares > 1 && threshold === 1) throw invalid('a threshold of 1 needs exactly one share.')
  if (pgpKeys.length > 0 && pgpKeys.length !== shares)
    throw invalid(`incorrect number of PGP keys: ${pgpKeys.length} for ${shares} shares.`)
}

export function parseSealConfig(stored: Uint8Array): SealConfig {
  return JSON.parse(Buffer.from(stored).toString('utf8')) as SealConfig
}

export const sealConfigBytes = (config: SealConfig): Buffer => Buffer.from(JSON.stringify(config))

/**
 * Those who prove together that they own the vault: by its key shares, by recovery keys where it opens by itself, or by the key
 * file, which is as good as one share, where there are none.
 */
export const holdersOf = ({ seal, shares, threshold, recovery }: SealConfig): Holders => {
  if (recovery) return { shares: recovery.shares, threshold: recovery.threshold }
  return seal === 'shamir' || seal === 'keyfile' ? { shares, threshold } : { shares: 0, threshold: 0 }
}
