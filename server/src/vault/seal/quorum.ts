import { randomUUID, timingSafeEqual } from 'node:crypto'
import { keyBytes } from '../barrier/key-ring.ts'
import { combineShares } from './shamir.ts'

/** Shares of one key that come one by one, for one purpose, until there are enough. */
export type Quorum = {
  /** Names the attempt; empty when there is none. */
  nonce(): string
  /** How many shares of the attempt have come. */
  progress(): number
  /** The key, when enough shares have come; the attempt is over then, whether the key turns out right or wrong. */
  add(share: Buffer, threshold: number): Promise<'repeated' | 'more' | Buffer>
  /** Forgets the shares and the attempt. */
  reset(): void
}

export function createQuorum(): Quorum {
  let shares: Buffer[] = []
  let nonce = ''

  return {
    nonce: () => nonce,
    progress: () => shares.length,
    async add(share, threshold) {
      if (shares.some((known) => isSame(known, share))) return 'repeated'
      nonce ||= randomUUID()
      shares.push(Buffer.from(share))
      if (shares.length < threshold) return 'more'
      const collected = shares
      shares = []
      nonce = ''
      try {
        return (await combineShares(collected, threshold)) ?? Buffer.alloc(keyBytes)
      } finally {
        for (const used of collected) used.fill(0)
      }
    },
    reset() {
      for (const share of shares) share.fill(0)
      shares = []
      nonce = ''
    },
  }
}

/** Compares in a time that tells nothing of the content. */
export const isSame = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)
