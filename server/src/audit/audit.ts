import { createPublicKey, hash, type KeyObject, sign } from 'node:crypto'
import type { AuditEntry, AuditHead, EventName, Json } from '@keyward/contract'
import { AppError, type Clock, canonicalJson, newId, reasonOf } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Anchor } from './anchor.ts'
import { hashAt, insertEntries, type NewEntry, readEntries, readTip, type Tip } from './audit-store.ts'

/** What a domain says; the log adds place, time and hash. `detail` never holds a secret. */
export type EntryInput = {
  readonly type: EventName
  readonly outcome: AuditEntry['outcome']
  /** `actorOf(principal)`. */
  readonly actor: string
  /** `<kind>:<id>`, for example `secret:secret/shop/stripe`. */
  readonly target: string
  /** The run, request or scan that it belongs to; empty when none. */
  readonly correlation?: string
  readonly detail?: Json
}

export type Audit = {
  /** Appends to the chain in the caller's transaction: the change and its entry commit together. */
  record(tx: Tx, entry: EntryInput): Promise<void>
  /** Appends in a transaction of its own and resolves when it is on disk: an intent before an outside effect, a refusal. */
  recordNow(entry: EntryInput): Promise<void>
  page(query: PageQuery): Promise<{ items: AuditEntry[]; next: string | null }>
  /** The signed length and last hash. Refused when the chain is shorter than, or differs from, what was anchored outside. */
  head(): Promise<AuditHead>
  /** Checks the chain's end against the anchor and moves the anchor on. Called at start, from time to time, and at stop. */
  anchor(): Promise<void>
  health(): AuditHealth
}

export type AuditHealth = {
  readonly state: 'ok' | 'failing'
  readonly reason: string | null
  readonly seq: number
}

type PageQuery = {
  readonly cursor?: string | undefined
  readonly limit: number
  readonly order: 'asc' | 'desc'
  readonly type?: string | undefined
  readonly correlation?: string | undefined
}

type Needs = {
  store: Store
  clock: Pick<Clock, 'now'>
  anchor: Anchor
  /** The Ed25519 private key that signs heads; it lies in the vault, so there is none while the vault is sealed. */
  signingKey: () => Promise<KeyObject | undefined>
}

/** An entry that has no place in the chain yet; it gets its number there. */
type Waiting = Omit<NewEntry, 'seq' | 'previous' | 'hash'> & { seq: number }

export function createAudit({ store, clock, anchor, signingKey }: Needs): Audit {
  /** Why the last entry could not be written, until one can be. */
  let unwritable: string | null = null
  /** How the chain differs from what was anchored; no later entry mends that. */
  let broken: string | null = null
  let lastSeq = 0

  /** Puts the entries of all transactions that share a commit at the end of the chain, in their order. */
  const chain = (tx: Pick<Tx, 'get' | 'all' | 'run'>, waiting: readonly Waiting[]): Promise<void> =>
    guarded(async () => {
      let tip = await readTip(tx)
      const entries = waiting.map((entry): NewEntry => {
        entry.seq = tip.seq + 1
        const unsigned = { ...entry, previous: tip.hash }
        tip = { seq: entry.seq, hash: entryHash(unsigned) }
        return { ...unsigned, hash: tip.hash }
      })
      await insertEntries(tx, entries)
    })

  function append(tx: Tx, input: EntryInput): void {
    const now = clock.now()
    const entry: Waiting = {
      seq: 0,
      id: newId('aud', now),
      at: now.toISOString(),
      type: input.type,
      outcome: input.outcome,
      actor: storable(input.actor),
      target: storable(input.target),
      correlation: storable(input.correlation ?? ''),
      detailText: storedJson(input.detail ?? null),
      atMilliseconds: now.getTime(),
    }
    tx.collect(chain, entry)
    tx.afterCommit(() => {
      unwritable = null
      lastSeq = Math.max(lastSeq, entry.seq)
    })
  }

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      // Told already, where it happened: by the collector, of which the caller hears through the transaction.
      if (error instanceof AppError && error.code === 'audit.unavailable') throw error
      unwritable = reasonOf(error)
      throw new AppError('audit.unavailable', unwritable, { cause: error })
    }
  }

  async function checkAnchor(): Promise<Tip> {
    const anchored = anchor.read()
    if (anchored && (await hashAt(store, anchored.seq)) !== anchored.hash) {
      broken = `entry ${anchored.seq} is missing or altered; the anchor outside the database still has its hash`
      throw new AppError('audit.broken', broken)
    }
    broken = null
    return readTip(store)
  }

  /**
   * What is read may not be on disk yet. An anchor or a signature that a power cut puts ahead of the chain would look as if
   * somebody had cut the chain.
   */
  const onDisk = (): Promise<void> => store.write(async () => undefined, 'disk')

  return {
    record: (tx, entry) => guarded(async () => append(tx, entry)),
    recordNow: (entry) => guarded(() => store.write(async (tx) => append(tx, entry))),
    async page({ cursor, limit, order, type, correlation }) {
      const after = cursor === undefined ? undefined : Number(cursor)
      if (after !== undefined && !Number.isSafeInteger(after))
        throw new AppError('request.invalid', 'cursor is not one of ours')
      const items = await readEntries(store, { after, limit, order, type, correlation })
      return { items, next: items.length === limit ? String(items.at(-1)?.seq ?? '') : null }
    },
    async head() {
      const tip = await checkAnchor()
      await onDisk()
      const key = await signingKey()
      if (!key)
        throw new AppError(
          'vault.sealed',
          'the key that signs the audit head is in the vault. Unseal it first.',
        )
      const statement = { seq: tip.seq, hash: tip.hash, at: clock.now().toISOString() }
      const signature = sign(null, Buffer.from(canonicalJson(statement)), key).toString('base64')
      const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
      return { ...statement, signature, publicKey }
    },
    async anchor() {
      const tip = await checkAnchor()
      lastSeq = Math.max(lastSeq, tip.seq)
      if (tip.seq > (anchor.read()?.seq ?? 0)) {
        await onDisk()
        anchor.write(tip)
      }
      if (unwritable === null) return
      // Nobody may be writing just because health is bad: what failed is tried here.
      await store.check()
      unwritable = null
    },
    health() {
      const reason = broken ?? unwritable
      return { state: reason === null ? 'ok' : 'failing', reason, seq: lastSeq }
    },
  }
}

/** Half a character and NUL do not come back from a database as they went in, and the entry would not verify any more. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd')

/** Canonical, and as it will be read again: what JSON leaves out must not be hashed. */
const storedJson = (value: Json): string =>
  canonicalJson(isPlain(value) ? value : (JSON.parse(JSON.stringify(value)) as Json))

/** Whether it has only what JSON keeps as it is. */
function isPlain(value: unknown): boolean {
  if (value === null) return true
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object': {
      if (Array.isArray(value)) return value.every(isPlain)
      return (
        Object.getPrototypeOf(value) === Object.prototype && Object.values(value as object).every(isPlain)
      )
    }
    default:
      return false
  }
}

/**
 * SHA-256, hex, over the canonical JSON of everything in the entry but its own hash: what `canonicalJson` makes of it, written out because
 * each request that is answered waits for this.
 */
function entryHash(entry: Omit<NewEntry, 'hash' | 'atMilliseconds'>): string {
  const { seq, id, at, type, outcome, actor, target, correlation, detailText, previous } = entry
  const text = JSON.stringify
  return hash(
    'sha256',
    `{"actor":${text(actor)},"at":"${at}","correlation":${text(correlation)},"detail":${detailText},"id":"${id}",` +
      `"outcome":"${outcome}","previous":"${previous}","seq":${seq},"target":${text(target)},"type":"${type}"}`,
    'hex',
  )
}
