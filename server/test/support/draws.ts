// Values that look drawn and are the same in every run. A scanner rightly takes one drawn value in some thousands for a
// name or for made up: whether a test passes must not hang on the luck of its run.
import { createHash } from 'node:crypto'

export const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export type Draws = {
  bytes(length: number): Buffer
  hex(lengthBytes: number): string
  text(length: number, alphabet?: string): string
  /** A token in the form of Vault and OpenBao: what a scanner finds wherever it stands. */
  vaultToken(): string
  /** From 0 up to the number before `limit`. */
  below(limit: number): number
}

export function createDraws(seed: string): Draws {
  let drawn = 0
  const bytes = (length: number): Buffer =>
    createHash('shake256', { outputLength: length }).update(`${seed} ${drawn++}`).digest()
  const text = (length: number, alphabet = alphanumeric): string =>
    Array.from(bytes(length), (byte) => alphabet[byte % alphabet.length]).join('')
  return {
    bytes,
    hex: (lengthBytes) => bytes(lengthBytes).toString('hex'),
    text,
    vaultToken: () => `hvs.${text(40)}`,
    below: (limit) => bytes(4).readUInt32BE() % limit,
  }
}
