import type { Report } from './messages.ts'

/** Sees that every report is recorded: one that cannot be written now is written before anything more is let through. */
export type Ledger = {
  report(report: Report): Promise<void>
  /** Whether everything so far is recorded; tries what is left over again. */
  settle(): Promise<boolean>
  /** Resolves when no report is on its way. */
  drain(): Promise<void>
}

export function createLedger(record: (report: Report) => Promise<boolean>): Ledger {
  const unwritten = new Set<Report>()
  const underway = new Set<Promise<void>>()

  const write = async (report: Report): Promise<void> => {
    unwritten.add(report)
    if (await record(report)) unwritten.delete(report)
  }
  const report = async (entry: Report): Promise<void> => {
    const writing = write(entry)
    underway.add(writing)
    await writing
    underway.delete(writing)
  }
  const drain = async (): Promise<void> => {
    while (underway.size > 0) await Promise.all(underway)
  }

  return {
    report,
    drain,
    async settle() {
      if (unwritten.size === 0) return true
      await drain()
      for (const entry of unwritten) await report(entry)
      return unwritten.size === 0
    },
  }
}
