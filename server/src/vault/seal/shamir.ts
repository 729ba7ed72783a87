import { combine, split } from 'shamir-secret-sharing'

/** Splits a key so that any `threshold` of the shares give it back and fewer tell nothing. One share is the key itself. */
export async function splitKey(key: Uint8Array, shares: number, threshold: number): Promise<Buffer[]> {
  if (shares === 1) return [Buffer.from(key)]
  const copy = new Uint8Array(key)
  const parts = await split(copy, shares, threshold)
  copy.fill(0)
  return parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.length))
}

/** The key behind the shares; a wrong share gives a wrong key, which only using it shows. */
export async function combineShares(
  shares: readonly Buffer[],
  threshold: number,
): Promise<Buffer | undefined> {
  if (threshold === 1) return shares[0] && Buffer.from(shares[0])
  const copies = shares.map((share) => new Uint8Array(share))
  try {
    const key = await combine(copies)
    return Buffer.from(key.buffer, key.byteOffset, key.length)
  } catch {
    return undefined
  } finally {
    for (const copy of copies) copy.fill(0)
  }
}
