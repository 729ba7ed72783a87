import type { Durability, Store, Tx } from '../store/index.ts'
import type { Chain } from './chain.ts'
import { type EntryInput, entryAt, lineOf, type Unplaced } from './entry.ts'
import { type Journal, mostCharacters } from './journal.ts'

/** Stores entries of what changes nothing. Resolves when the entry has come as far as is asked; only then may the value leave. */
export type ReadLog = { record(entry: EntryInput, durability: Durability): Promise<void> }

type Waiting<T> = { readonly entry: T; resolve(): void; reject(error: unknown): void }

/** What comes together goes together: it waits here until somebody takes it. */
function createGathering<T>(first: () => void) {
  let waiting: Waiting<T>[] = []
  return {
    add: (entry: T): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting.push({ entry, resolve, reject })
        if (waiting.length === 1) first()
      }),
    take(): Waiting<T>[] {
      const taken = waiting
      waiting = []
      return taken
    },
    size: () => waiting.length,
  }
}

type DirectNeeds = {
  store: Pick<Store, 'write'>
  append: (tx: Tx, entry: EntryInput) => void
}

/**
 * Into the chain, in a transaction that those share which come together: what arrives until it begins goes into it. If the
 * transaction fails, all of them fail, and nothing leaves.
 */
export function createDirectLog(needs: DirectNeeds): ReadLog {
  const logs = { disk: directLog(needs, 'disk'), kernel: directLog(needs, 'kernel') }
  return { record: (entry, durability) => logs[durability](entry) }
}

function directLog({ store, append }: DirectNeeds, durability: Durability) {
  const gathering = createGathering<EntryInput>(() => void flush())

  async function flush(): Promise<void> {
    let batch: Waiting<EntryInput>[] = []
    try {
      await store.write(async (tx) => {
        batch = gathering.take()
        for (const { entry } of batch) append(tx, entry)
      }, durability)
      for (const { resolve } of batch) resolve()
    } catch (error) {
      // It may have failed before it began.
      for (const { reject } of batch.length > 0 ? batch : gathering.take()) reject(error)
    }
  }

  return gathering.add
}

type JournalNeeds = {
  journal: Journal
  chain: Pick<Chain, 'expect' | 'waitingBytes'>
  /** Brings what waits in the journal into the chain; throws when that cannot be written. */
  settle: () => Promise<void>
  /** Brings an entry into the chain by itself. */
  append: (entry: Unplaced, durability: Durability) => Promise<void>
  now: () => Date
}

type Line = { readonly text: string; readonly durability: Durability }

/** Some 500 entries. So many at once cost half of what a few at a time do. */
const bytesAtOnce = 192 * 1024

/**
 * Into the journal, in one piece with those that come in the same turn of the event loop or during the sync before; from there into the
 * chain with the next change, or when there are many.
 */
export function createJournalLog(needs: JournalNeeds): ReadLog {
  const { journal, chain, settle, now } = needs
  const gathering = createGathering<Line>(() => void drain())
  /** How many of those that wait do so for the disk. */
  let forDisk = 0
  let draining = false
  let settling = false

  async function drain(): Promise<void> {
    if (draining) return
    draining = true
    while (gathering.size() > 0) {
      await untilNobodyComes()
      for (const waiting = gathering.take(); waiting.length > 0; ) await storeFirst(waiting)
    }
    draining = false
  }

  /** Who is answered after a sync comes again at once, and shares the next one with those who came during it. */
  async function untilNobodyComes(): Promise<void> {
    let before: number
    do {
      before = gathering.size()
      await new Promise((resolve) => setImmediate(resolve))
    } while (forDisk > 0 && gathering.size() > before)
  }

  /** As many of them as a frame holds. */
  async function storeFirst(waiting: Waiting<Line>[]): Promise<void> {
    const { text, count } = firstLines(waiting)
    const batch = waiting.splice(0, count)
    const synced = batch.filter(({ entry }) => entry.durability === 'disk').length
    forDisk -= synced
    try {
      const position = journal.write(text) ?? (await afterSettling(text))
      if (synced > 0) await journal.sync()
      chain.expect(position)
      for (const { resolve } of batch) resolve()
      if (chain.waitingBytes() >= bytesAtOnce && !settling) void settleMany()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  /** The journal is full of what is not in the chain yet. */
  async function afterSettling(text: string): Promise<number> {
    await settle()
    const position = journal.write(text)
    if (position === undefined) throw new Error('the journal has no room for a frame')
    return position
  }

  async function settleMany(): Promise<void> {
    settling = true
    try {
      while (chain.waitingBytes() >= bytesAtOnce) await settle()
    } catch {
      // Health says so, and who comes next is refused.
    } finally {
      settling = false
    }
  }

  return {
    record(input, durability) {
      const entry = entryAt(input, now())
      const text = lineOf(entry)
      if (text.length > mostCharacters) return needs.append(entry, durability)
      if (durability === 'disk') forDisk++
      return gathering.add({ text, durability })
    },
  }
}

function firstLines(waiting: readonly Waiting<Line>[]): { text: string; count: number } {
  let text = ''
  let count = 0
  for (const { entry } of waiting) {
    if (text.length + entry.text.length > mostCharacters) break
    text += entry.text
    count++
  }
  return { text, count }
}
