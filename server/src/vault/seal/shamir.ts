import { combine, split } from 'shamir-secret-sharing'

/** Splits a key so that any `threshold` of the shares give it back and fewer tell nothing. One share is the key itself. */
export async function splitKey(key: Uint8Array, shares: number, threshold: number): Promise<Buffer[]> {
  if (shares === 1) return [Buffer.from(key)]
  const parts = await split(new Uint8Array(key), shares, threshold)
  return parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.length))
}

/** The key behind the shares; a wrong share gives a wrong key, which only using it shows. */
export async function combineShares(
  shares: readonly Buffer[],
  threshold: number,
): Promise<Buffer | undefined> {
  if (threshold === 1) return shares[0] && Buffer.from(shares[0])
  try {
    return Buffer.from(await combine(shares.map((share) => new Uint8Array(share))))
  } catch {
    return undefined
  }
}
