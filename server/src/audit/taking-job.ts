import { openToRead } from './journal.ts'
import { takeFromJournal, type Writing } from './taking.ts'

export type TakingJob = { readonly file: string; readonly to: number }

/** For the thread of the database, which reads the journal by itself: takes its entries up to `to`, and returns the chain's length. */
export async function job(tx: Writing, { file, to }: TakingJob): Promise<number> {
  const journal = openToRead(file)
  try {
    return (await takeFromJournal(tx, journal, to)).seq
  } finally {
    journal.close()
  }
}
