import { createHmac, randomBytes } from 'node:crypto'
import { AppError } from '../../core/index.ts'
import { decrypt, encrypt, termOf } from './cipher.ts'

export const keyBytes = 32

export type Term = {
  readonly term: number
  readonly key: Buffer
  readonly createdAt: Date
  /** How many encryptions were reserved for this key, at least as many as were made. */
  encryptions: number
}

/**
 * The keys that protect what is stored: one for the names of paths, and one a term for values. New values take the newest
 * term; older terms open what they once closed.
 */
export type KeyRing = {
  readonly terms: readonly Term[]
  /** A short, stable digest of a path (or a token): it finds the row and tells nothing. */
  nameOf(kind: string, path: string): Buffer
  encrypt(context: string, plain: Uint8Array): Buffer
  decrypt(context: string, sealed: Uint8Array): Buffer | undefined
  newest(): Term
  addTerm(now: Date): void
  /** Learns the terms that `other` has and this one lacks, and wipes `other`. */
  takeFrom(other: KeyRing): void
  toBytes(): Buffer
  wipe(): void
}

export const createKeyRing = (now: Date): KeyRing =>
  openRing(randomBytes(keyBytes), [{ term: 1, key: randomBytes(keyBytes), createdAt: now, encryptions: 0 }])

// Binary and not JSON, so that no key ever becomes a JavaScript string, which nothing can wipe.
const termRecordBytes = 4 + 8 + 8 + keyBytes

export function keyRingFromBytes(bytes: Uint8Array): KeyRing {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const terms: Term[] = []
  for (let at = keyBytes; at + termRecordBytes <= view.length; at += termRecordBytes) {
    terms.push({
      term: view.readUInt32BE(at),
      createdAt: new Date(view.readDoubleBE(at + 4)),
      encryptions: view.readDoubleBE(at + 12),
      key: Buffer.from(view.subarray(at + 20, at + termRecordBytes)),
    })
  }
  return openRing(Buffer.from(view.subarray(0, keyBytes)), terms)
}

function openRing(nameKey: Buffer, given: readonly Term[]): KeyRing {
  const terms = [...given]
  let wiped = false

  function newest(): Term {
    const last = terms.at(-1)
    // A wiped key is all zeros and would still encrypt: whoever still holds the ring is stopped here.
    if (wiped || !last) throw new AppError('vault.sealed')
    return last
  }

  return {
    terms,
    nameOf(kind, path) {
      newest()
      return createHmac('sha256', nameKey).update(`${kind}\0${path}`).digest()
    },
    encrypt(context, plain) {
      const { key, term } = newest()
      return encrypt(key, term, context, plain)
    },
    decrypt(context, sealed) {
      newest()
      const number = termOf(sealed)
      const term = terms.find((known) => known.term === number)
      return term && decrypt(term.key, context, sealed)
    },
    newest,
    addTerm(now) {
      terms.push({ term: newest().term + 1, key: randomBytes(keyBytes), createdAt: now, encryptions: 0 })
    },
    takeFrom(other) {
      for (const theirs of other.terms) {
        const ours = terms.find((known) => known.term === theirs.term)
        if (ours) ours.encryptions = Math.max(ours.encryptions, theirs.encryptions)
        else terms.push({ ...theirs, key: Buffer.from(theirs.key) })
      }
      other.wipe()
    },
    toBytes() {
      const out = Buffer.alloc(keyBytes + terms.length * termRecordBytes)
      nameKey.copy(out)
      terms.forEach((term, i) => {
        const at = keyBytes + i * termRecordBytes
        out.writeUInt32BE(term.term, at)
        out.writeDoubleBE(term.createdAt.getTime(), at + 4)
        out.writeDoubleBE(term.encryptions, at + 12)
        term.key.copy(out, at + 20)
      })
      return out
    },
    wipe() {
      wiped = true
      nameKey.fill(0)
      for (const term of terms) term.key.fill(0)
    },
  }
}
