import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { AppError } from '../../core/index.ts'
import { createNonces, decrypt, encrypt, termOf } from './cipher.ts'

export const keyBytes = 32
const keptDigests = 1000
const digestBytes = 32
const digestsInAPiece = 128

export type Term = {
  readonly term: number
  readonly key: KeyObject
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
  /** Lets go of all keys, whose memory is OpenSSL's; whoever still holds the ring can do nothing with it. */
  wipe(): void
}

export const createKeyRing = (now: Date): KeyRing =>
  openRing(newKey(), [{ term: 1, key: newKey(), createdAt: now, encryptions: 0 }])

// Key objects and not buffers: with a buffer, Node spends four fifths of each encryption on looking at the key.
const newKey = (): KeyObject => keyFrom(randomBytes(keyBytes))

/** Takes the bytes over: they are zeros afterwards. */
function keyFrom(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

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
      key: createSecretKey(view.subarray(at + 20, at + termRecordBytes)),
    })
  }
  return openRing(createSecretKey(view.subarray(0, keyBytes)), terms)
}

function openRing(names: KeyObject, given: readonly Term[]): KeyRing {
  const terms = [...given]
  let nameKey: KeyObject | undefined = names
  const digests = createDigests()
  const place = createPlaces()
  const putNonce = createNonces()

  function digestOf(key: KeyObject, name: string): Buffer {
    const known = digests.get(name)
    if (known) return known
    const digest = place()
    digest.write(createHmac('sha256', key).update(name).digest('binary'), 'latin1')
    digests.set(name, digest)
    return digest
  }

  function newest(): Term {
    const last = terms.at(-1)
    if (!last) throw new AppError('vault.sealed')
    return last
  }

  return {
    terms,
    nameOf(kind, path) {
      if (!nameKey) throw new AppError('vault.sealed')
      return digestOf(nameKey, `${kind}\0${path}`)
    },
    encrypt(context, plain) {
      const { key, term } = newest()
      return encrypt(key, term, context, plain, putNonce)
    },
    decrypt(context, sealed) {
      newest()
      const number = termOf(sealed)
      const term = terms.find((known) => known.term === number)
      return term && decrypt(term.key, context, sealed)
    },
    newest,
    addTerm(now) {
      terms.push({ term: newest().term + 1, key: newKey(), createdAt: now, encryptions: 0 })
    },
    takeFrom(other) {
      for (const theirs of other.terms) {
        const ours = terms.find((known) => known.term === theirs.term)
        if (ours) ours.encryptions = Math.max(ours.encryptions, theirs.encryptions)
        else terms.push(theirs)
      }
      other.wipe()
    },
    toBytes() {
      if (!nameKey) throw new AppError('vault.sealed')
      const out = Buffer.alloc(keyBytes + terms.length * termRecordBytes)
      writeKey(nameKey, out, 0)
      terms.forEach((term, i) => {
        const at = keyBytes + i * termRecordBytes
        out.writeUInt32BE(term.term, at)
        out.writeDoubleBE(term.createdAt.getTime(), at + 4)
        out.writeDoubleBE(term.encryptions, at + 12)
        writeKey(term.key, out, at + 20)
      })
      return out
    },
    wipe() {
      nameKey = undefined
      terms.length = 0
      digests.clear()
    },
  }
}

/** Rooms for digests, many in one piece of memory: a piece of its own for each costs a quarter of making the digest. */
function createPlaces(): () => Buffer {
  let piece = Buffer.alloc(0)
  let used = 0
  return () => {
    if (used === piece.length) {
      piece = Buffer.alloc(digestBytes * digestsInAPiece)
      used = 0
    }
    used += digestBytes
    return piece.subarray(used - digestBytes, used)
  }
}

/**
 * Digests made lately, by kind and path: most paths are asked for again at once. When there are many, the older half goes; to take out
 * the oldest each time would cost more, because a map looks for it among the gaps that the others have left.
 */
function createDigests(): Pick<Map<string, Buffer>, 'get' | 'clear'> & {
  set(name: string, digest: Buffer): void
} {
  let newer = new Map<string, Buffer>()
  let older = new Map<string, Buffer>()
  const set = (name: string, digest: Buffer): void => {
    if (newer.size >= keptDigests / 2) {
      older = newer
      newer = new Map()
    }
    newer.set(name, digest)
  }
  return {
    get(name) {
      const known = newer.get(name)
      if (known) return known
      const old = older.get(name)
      if (old) set(name, old)
      return old
    },
    set,
    clear() {
      newer.clear()
      older.clear()
    },
  }
}

function writeKey(key: KeyObject, out: Buffer, at: number): void {
  const bytes = key.export()
  bytes.copy(out, at)
  bytes.fill(0)
}
