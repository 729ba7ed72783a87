import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import type { AuditEntry, AuditHead } from '@keyward/contract'
import { AppError, type Clock, canonicalJson, reasonOf } from '../core/index.ts'
import type { Durability, Store, Tx } from '../store/index.ts'
import type { Anchor } from './anchor.ts'
import { type EntryFilter, hashAt, readEntries, readTip, type Tip } from './audit-store.ts'
import { createChain } from './chain.ts'
import { createEntries, type EntryInput, type Unplaced } from './entry.ts'
import type { Journal } from './journal.ts'
import { createDirectLog, createJournalLog } from './read-log.ts'

export type Audit = {
  /** Appends to the chain in the caller's transaction: the change and its entry commit together. */
  record(tx: Tx, entry: EntryInput): Promise<void>
  /** Appends in a transaction of its own and resolves when it is on disk: an intent before an outside effect, a refusal. */
  recordNow(entry: EntryInput): Promise<void>
  /** For what changes nothing: resolves when the entry is as safe as reads ask for, which may be before it is in the chain. */
  recordRead(entry: EntryInput): Promise<void>
  /** The same, except that it resolves when the entry is on disk, whatever reads ask for. */
  recordOnDisk(entry: EntryInput): Promise<void>
  /** Called once, before anything is recorded: checks the anchor, and takes over what an earlier process left in the journal. */
  start(): Promise<void>
  page(query: PageQuery): Promise<{ items: AuditEntry[]; next: string | null }>
  /** The signed length and last hash. Refused when the chain is shorter than, or differs from, what was anchored outside. */
  head(): Promise<AuditHead>
  /** Checks the chain's end against the anchor and moves the anchor on. Called at start, from time to time, and at stop. */
  anchor(): Promise<void>
  health(): AuditHealth
  /** Entries recorded since the process started, by type and outcome. */
  counts(): ReadonlyMap<EntryInput['type'], ReadonlyMap<EntryInput['outcome'], number>>
  /** After the last entry. */
  close(): void
}

export type AuditHealth = {
  readonly state: 'ok' | 'failing'
  readonly reason: string | null
  readonly seq: number
}

type PageQuery = {
  readonly cursor?: string | undefined
  readonly limit: number
} & EntryFilter

type Needs = {
  store: Store
  clock: Pick<Clock, 'now'>
  anchor: Anchor
  /** The Ed25519 private key that signs heads; it lies in the vault, so there is none while the vault is sealed. */
  signingKey: () => Promise<KeyObject | undefined>
  /** How far the entry of a read must have come before its value leaves. */
  readDurability?: Durability | undefined
  /** Takes the entries of reads first, with the same durability; without one they go into the chain at once. */
  journal?: Journal | undefined
}

export function createAudit(needs: Needs): Audit {
  const { store, clock, anchor, signingKey, journal, readDurability: durability = 'disk' } = needs
  const chain = createChain({ store, journal, guarded })
  const entryAt = createEntries()
  /** Why the last entry could not be written, until one can be. */
  let unwritable: string | null = null
  /** How the chain differs from what was anchored; no later entry mends that. */
  let broken: string | null = null
  let lastSeq = 0

  const recorded = new Map<EntryInput['type'], Map<EntryInput['outcome'], number>>()

  function count({ type, outcome }: EntryInput): void {
    const outcomes = recorded.get(type) ?? new Map<EntryInput['outcome'], number>()
    recorded.set(type, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1))
  }

  function append(tx: Tx, input: EntryInput): void {
    appendEntry(tx, entryAt(input, clock.now()))
    tx.afterCommit(() => count(input))
  }

  function appendEntry(tx: Tx, entry: Unplaced): void {
    chain.append(tx, entry, (seq) => {
      unwritable = null
      lastSeq = Math.max(lastSeq, seq)
    })
  }

  /** What is in the journal only is in the chain, too, when this resolves. */
  async function settle(): Promise<void> {
    const length = await guarded(chain.settle)
    if (length === undefined) return
    unwritable = null
    lastSeq = Math.max(lastSeq, length)
  }

  const readLog = journal
    ? createJournalLog({
        journal,
        chain,
        settle,
        append: (entry) => store.write(async (tx) => appendEntry(tx, entry)),
        // What goes through the journal is not counted on its way into the chain.
        stored(entries) {
          for (const entry of entries) count(entry)
        },
        refusal,
        now: clock.now,
      })
    : createDirectLog({ store, append, refusal })

  /** What the chain does not take must not pile up in the journal. */
  const recordAlone = (entry: EntryInput, asked: Durability): Promise<void> =>
    unwritable === null ? readLog.record(entry, asked) : settle().then(() => readLog.record(entry, asked))

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw refusal(error)
    }
  }

  /** Notes that an entry cannot be written, and says so. */
  function refusal(error: unknown): AppError {
    // Noted already, where it happened: by the collector, of which the caller hears through the transaction.
    if (error instanceof AppError && error.code === 'audit.unavailable') return error
    unwritable = reasonOf(error)
    return new AppError('audit.unavailable', unwritable, { cause: error })
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

  /** Checks the chain's end against the anchor and moves the anchor on. */
  async function moveAnchor(): Promise<void> {
    await settle()
    const tip = await checkAnchor()
    lastSeq = Math.max(lastSeq, tip.seq)
    if (tip.seq > (anchor.read()?.seq ?? 0)) {
      await onDisk()
      anchor.write(tip)
    }
    if (unwritable === null) return
    // Nobody may be writing just because health is bad: what failed is tried here.
    await store.check()
    journal?.check()
    unwritable = null
  }

  return {
    record: (tx, entry) => guarded(async () => append(tx, entry)),
    recordNow: (entry) => guarded(() => store.write(async (tx) => append(tx, entry))),
    recordRead: (entry) => recordAlone(entry, durability),
    recordOnDisk: (entry) => recordAlone(entry, 'disk'),
    async start() {
      await checkAnchor()
      await chain.replay()
      await moveAnchor()
    },
    async page({ cursor, limit, ...filter }) {
      const after = cursor === undefined ? undefined : Number(cursor)
      if (after !== undefined && !Number.isSafeInteger(after))
        throw new AppError('request.invalid', 'cursor is not one of ours')
      await settle()
      const items = await readEntries(store, { after, limit, ...filter })
      return { items, next: items.length === limit ? String(items.at(-1)?.seq ?? '') : null }
    },
    async head() {
      await settle()
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
    anchor: moveAnchor,
    health() {
      const reason = broken ?? unwritable
      return { state: reason === null ? 'ok' : 'failing', reason, seq: lastSeq }
    },
    counts: () => recorded,
    close: () => journal?.close(),
  }
}
