import { createGathering } from '../core/index.ts'
import type { Durability, Store, Tx } from '../store/index.ts'
import type { Chain } from './chain.ts'
import { createEntries, type EntryInput, lineOf, type Unplaced } from './entry.ts'
import { type Journal, mostCharacters } from './journal.ts'

/** Stores entries of what changes nothing. Resolves when the entry has come as far as is asked; only then may the value leave. */
export type ReadLog = { record(entry: EntryInput, durability: Durability): Promise<void> }

type DirectNeeds = {
  store: Pick<Store, 'write'>
  append: (tx: Tx, entry: EntryInput) => void
  /** What is told to those whose entries could not be stored. */
  refusal: (error: unknown) => Error
}

/**
 * Into the chain, in a transaction that those share which come together: what arrives until it begins goes into it. If the
 * transaction fails, all of them fail, and nothing leaves.
 */
export function createDirectLog(needs: DirectNeeds): ReadLog {
  const logs = { disk: directLog(needs, 'disk'), kernel: directLog(needs, 'kernel') }
  return { record: (entry, durability) => logs[durability](entry) }
}

/** Those that wait together, and all that is told of them. */
type Batch = PromiseWithResolvers<void> & { readonly entries: EntryInput[] }

function directLog({ store, append, refusal }: DirectNeeds, durability: Durability) {
  let waiting: Batch | undefined

  function take(): Batch | undefined {
    const taken = waiting
    waiting = undefined
    return taken
  }

  async function flush(): Promise<void> {
    let batch: Batch | undefined
    try {
      await store.write(async (tx) => {
        batch = take()
        for (const entry of batch?.entries ?? []) append(tx, entry)
      }, durability)
      batch?.resolve()
    } catch (error) {
      // It may have failed before it began.
      const failed = batch ?? take()
      failed?.reject(refusal(error))
    }
  }

  return (entry: EntryInput): Promise<void> => {
    waiting ??= { ...Promise.withResolvers<void>(), entries: [] }
    const { entries, promise } = waiting
    if (entries.push(entry) === 1) void flush()
    return promise
  }
}

type JournalNeeds = {
  journal: Journal
  chain: Pick<Chain, 'expect' | 'waitingBytes'>
  /** Brings what waits in the journal into the chain; throws when that cannot be written. */
  settle: () => Promise<void>
  /** Brings an entry into the chain by itself, on disk: what the journal holds goes with it, and is released there. */
  append: (entry: Unplaced) => Promise<void>
  /** They have come as far as was asked. */
  stored: (entries: readonly EntryInput[]) => void
  /** What is told to those whose entries could not be stored. */
  refusal: (error: unknown) => Error
  now: () => Date
  /** On a clock that is never set back. */
  milliseconds?: () => number
}

/** What goes into one frame. Who waits for any of it waits for the same. */
type Frame = Batch & { lines: string; forDisk: boolean }

/** Some 500 entries. So many at once cost half of what a few at a time do. */
const bytesAtOnce = 192 * 1024

/**
 * Into the journal, in one piece with those that come in the same turn of the event loop or during the sync before; from there into the
 * chain with the next change, or when there are many.
 */
export function createJournalLog(needs: JournalNeeds): ReadLog {
  const { journal, chain, settle, now } = needs
  const entryAt = createEntries()
  const gathering = createGathering(needs.milliseconds)
  /** The last of them is still being filled. */
  let frames: Frame[] = []
  /** Of all that wait. */
  let count = 0
  let forDisk = false
  let draining = false
  let settling = false

  async function drain(): Promise<void> {
    draining = true
    while (count > 0) {
      await gathering.untilNobodyComes(
        () => count,
        () => forDisk,
      )
      const taken = frames
      frames = []
      count = 0
      forDisk = false
      for (const frame of taken) await store(frame)
    }
    draining = false
  }

  async function store(frame: Frame): Promise<void> {
    try {
      const position = journal.write(frame.lines) ?? (await afterSettling(frame.lines))
      if (frame.forDisk) await gathering.around(journal.sync)
      chain.expect(position)
      needs.stored(frame.entries)
      // Before anybody hears of it: who then asks again at once would be counted twice.
      gathering.expect(frame.entries.length + count)
      frame.resolve()
      if (chain.waitingBytes() >= bytesAtOnce && !settling) void settleMany()
    } catch (error) {
      frame.reject(needs.refusal(error))
    }
  }

  /** The journal is full of what is not in the chain yet. */
  async function afterSettling(lines: string): Promise<number> {
    await settle()
    const position = journal.write(lines)
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

  async function appendAlone(input: EntryInput, entry: Unplaced): Promise<void> {
    try {
      await needs.append(entry)
    } catch (error) {
      throw needs.refusal(error)
    }
    needs.stored([input])
  }

  function frameFor(characters: number): Frame {
    const last = frames.at(-1)
    if (last && last.lines.length + characters <= mostCharacters) return last
    const next = { ...Promise.withResolvers<void>(), entries: [], lines: '', forDisk: false }
    frames.push(next)
    return next
  }

  return {
    record(input, durability) {
      const entry = entryAt(input, now())
      const line = lineOf(entry)
      if (line.length > mostCharacters) return appendAlone(input, entry)
      const frame = frameFor(line.length)
      frame.lines += line
      frame.entries.push(input)
      if (durability === 'disk') {
        frame.forDisk = true
        forDisk = true
      }
      count++
      if (!draining) void drain()
      return frame.promise
    },
  }
}
