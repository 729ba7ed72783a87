import type { Store, Tx } from '../store/index.ts'
import { insertEntries, type NewEntry, putPosition, readPosition, readTip } from './audit-store.ts'
import { entryOfLine, placed, type Unplaced } from './entry.ts'
import type { Journal } from './journal.ts'

/** Puts entries into the chain: those that came with a change in its transaction, and before them those that wait in the journal. */
export type Chain = {
  /** At the end of the chain, in the caller's transaction; `onStored` is told its number when it is durable. */
  append(tx: Tx, entry: Unplaced, onStored: (seq: number) => void): void
  /** Entries that the journal holds up to `position` are to be taken from there. */
  expect(position: number): void
  /** How much of the journal waits. */
  waitingBytes(): number
  /** Resolves when what waits now is in the chain, on disk; returns the chain's length, if anything did. */
  settle(): Promise<number | undefined>
  /** Takes over what a process that ended has left in the journal. To be called before anything is written. */
  replay(): Promise<void>
}

/** Of one transaction: an entry or none, and what has become of it. */
type Link = { readonly entry: Unplaced | undefined; seq: number; position: number }

type Needs = {
  store: Store
  journal: Journal | undefined
  /** Notes that entries cannot be written. */
  guarded: <T>(work: () => Promise<T>) => Promise<T>
}

export function createChain({ store, journal, guarded }: Needs): Chain {
  /** Up to where the journal is to be taken, and up to where it is in the chain, on disk. */
  let expected = 0
  let stored = 0

  /** For all transactions that share a commit. How far the journal is in the chain is part of it, so nothing gets there twice. */
  const collect = (tx: Pick<Tx, 'get' | 'run'>, links: readonly Link[]): Promise<void> =>
    guarded(() => place(tx, links))

  async function place(tx: Pick<Tx, 'get' | 'run'>, links: readonly Link[]): Promise<void> {
    const from = expected > stored ? await readPosition(tx) : expected
    const to = expected
    let tip = await readTip(tx)
    const rows: NewEntry[] = []
    const add = (entry: Unplaced): void => {
      const row = placed(entry, tip)
      rows.push(row)
      tip = row
    }
    if (journal && to > from) for (const line of linesOf(journal.read(from, to))) add(entryOfLine(line))
    for (const link of links) {
      if (link.entry) add(link.entry)
      link.seq = tip.seq
      link.position = to
    }
    await insertEntries(tx, rows)
    if (to > from) await putPosition(tx, to)
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
    if (position <= stored) return
    stored = position
    journal?.release(position)
  }

  return {
    append: link,
    expect(position) {
      expected = position
    },
    waitingBytes: () => expected - stored,
    async settle() {
      if (expected === stored) return undefined
      let length = 0
      await store.write(async (tx) => {
        link(tx, undefined, (seq) => {
          length = seq
        })
      })
      return length
    },
    async replay() {
      if (!journal) return
      const position = await readPosition(store)
      const lines = linesOf(journal.recover(position))
      const next = journal.after(position)
      await store.write(async (tx) => {
        let tip = await readTip(tx)
        const rows = lines.map((line) => {
          const row = placed(entryOfLine(line), tip)
          tip = row
          return row
        })
        await insertEntries(tx, rows)
        await putPosition(tx, next)
      })
      journal.start(next)
      expected = next
      stored = next
    },
  }
}

const linesOf = (texts: readonly string[]): string[] => texts.flatMap((text) => text.split('\n').slice(0, -1))
