import type { Tx } from '../store/index.ts'
import {
  insertEntries,
  mostRows,
  type NewEntry,
  putPosition,
  readPosition,
  readTip,
  type Tip,
} from './audit-store.ts'
import { entryOfLine, placed } from './entry.ts'
import type { Journal } from './journal.ts'

export type Writing = Pick<Tx, 'get' | 'run'>

/** Puts what the journal holds up to `to` at the end of the chain, unless it is there already; returns the chain's end. */
export async function takeFromJournal(tx: Writing, journal: Pick<Journal, 'read'>, to: number): Promise<Tip> {
  const from = await readPosition(tx)
  if (from === undefined || from >= to) return readTip(tx)
  const tip = await appendTexts(tx, journal.read(from, to))
  await putPosition(tx, to)
  return tip
}

/** The entries in texts of the journal, at the end of the chain. Few are held at a time. */
export async function appendTexts(tx: Writing, texts: Iterable<string>): Promise<Tip> {
  let tip = await readTip(tx)
  let rows: NewEntry[] = []
  for (const text of texts)
    for (const line of text.split('\n')) {
      if (line === '') continue
      const row = placed(entryOfLine(line), tip)
      tip = row
      if (rows.push(row) < mostRows) continue
      await insertEntries(tx, rows)
      rows = []
    }
  await insertEntries(tx, rows)
  return tip
}
