/** Seals that open by themselves. */
export type AutoSealKind = 'keyfile' | 'transit' | 'awskms'
export type SealKind = AutoSealKind | 'shamir'

/** Closes and opens the vault's root key with a key that lies elsewhere: in a file, in another vault, in a cloud's service. */
export type KeyWrapper = {
  readonly kind: AutoSealKind
  wrap(rootKey: Buffer): Promise<Buffer>
  /** Throws what says why it cannot, and what to do. */
  unwrap(wrapped: Uint8Array): Promise<Buffer>
  /** Keeps its own access alive from now on, for those whose access ends with time; returns what stops it. */
  keepAlive?(): () => void
  /** Why the next `unwrap` would fail, as far as that is known without trying. */
  problem?(): string | undefined
}
