import { randomInt } from 'node:crypto'
import { extname } from 'node:path'
import type { Store, Tx } from '../store/index.ts'
import { insertEntries, type NewEntry, putPosition, readPosition, readTip } from './audit-store.ts'
import { placed, type Unplaced } from './entry.ts'
import type { Journal } from './journal.ts'
import { appendTexts, takeFromJournal } from './taking.ts'
import type { TakingJob } from './taking-job.ts'

/** Puts entries into the chain: those that came with a change in its transaction, and before them those that wait in the journal. */
export type Chain = {
  /** At the end of the chain, in the caller's transaction; `onStored` is told its number when it is durable. */
  append(tx: Tx, entry: Unplaced, onStored: (seq: number) => void): void
  /** Entries that the journal holds up to `position` are to be taken from there. */
  expect(position: number): void
  /** How much of the journal is not in the chain yet. */
  waitingBytes(): number
  /** Resolves when what waits now is in the chain; returns the chain's length, if anything did. */
  settle(): Promise<number | undefined>
  /** Takes over what a process that ended has left in the journal. To be called before anything is written. */
  replay(): Promise<void>
}

/** From so much on, the thread is spared more than the other costs to be asked. */
const asideBytes = 64 * 1024
/** What is in the chain stays in the journal until the chain is on disk, which this much waits for: half of the journal's room. */
const unsyncedBytes = 1024 * 1024
/** Where a new database begins, so that it never takes entries out of the journal of another. */
const firstPositions = 2 ** 46
const takingJob = new URL(`./taking-job${extname(import.meta.url)}`, import.meta.url)

/** Of one transaction: an entry or none, and what has become of it. */
type Link = { readonly entry: Unplaced | undefined; seq: number; position: number }

type Needs = {
  store: Store
  journal: Journal | undefined
  /** Notes that entries cannot be written. */
  guarded: <T>(work: () => Promise<T>) => Promise<T>
}

export function createChain({ store, journal, guarded }: Needs): Chain {
  /** Up to where the journal is to be taken, up to where it is in the chain, and up to where the chain has it on disk. */
  let expected = 0
  let chained = 0
  let stored = 0

  /** For all transactions that share a commit. How far the journal is in the chain is part of it, so nothing gets there twice. */
  const collect = (tx: Pick<Tx, 'get' | 'run'>, links: readonly Link[]): Promise<void> =>
    guarded(() => place(tx, links))

  async function place(tx: Pick<Tx, 'get' | 'run'>, links: readonly Link[]): Promise<void> {
    const to = expected
    let tip = journal && to > chained ? await takeFromJournal(tx, journal, to) : await readTip(tx)
    const rows: NewEntry[] = []
    for (const link of links) {
      if (link.entry) {
        const row = placed(link.entry, tip)
        rows.push(row)
        tip = row
      }
      link.seq = tip.seq
      link.position = to
    }
    await insertEntries(tx, rows)
  }

  function link(tx: Tx, entry: Unplaced | undefined, onStored: (seq: number) => void): void {
    const own: Link = { entry, seq: 0, position: 0 }
    tx.collect(collect, own)
    tx.afterCommit(() => {
      release(own.position)
      onStored(own.seq)
    })
  }

  function release(position: number): void {
    chained = Math.max(chained, position)
    if (position <= stored) return
    stored = position
    journal?.release(position)
  }

  /** A sync makes the reads that wait for the journal's own wait longer, so there is one for many of these. */
  async function settleAside(file: string, to: number): Promise<number | undefined> {
    const durability = to - stored >= unsyncedBytes ? 'disk' : 'kernel'
    const seq = await store.aside?.<TakingJob, number>(takingJob, { file, to }, durability)
    if (durability === 'disk') release(to)
    else chained = Math.max(chained, to)
    return seq
  }

  async function settleHere(): Promise<number> {
    let length = 0
    await store.write(async (tx) => {
      link(tx, undefined, (seq) => {
        length = seq
      })
    })
    return length
  }

  return {
    append: link,
    expect(position) {
      expected = position
    },
    waitingBytes: () => expected - chained,
    async settle() {
      if (expected === chained) return undefined
      const isLong = expected - chained >= asideBytes
      // What the other thread cannot do is done here, or told from here.
      return journal && store.aside && isLong
        ? settleAside(journal.file, expected).catch(settleHere)
        : settleHere()
    },
    async replay() {
      if (!journal) return
      const position = await readPosition(store)
      const texts = position === undefined ? [] : journal.recover(position)
      const next = position === undefined ? randomInt(firstPositions) : journal.after(position)
      await store.write(async (tx) => {
        await appendTexts(tx, texts)
        await putPosition(tx, next)
      })
      journal.start(next)
      expected = next
      chained = next
      stored = next
    },
  }
}
