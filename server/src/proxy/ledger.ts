import type { Report } from './messages.ts'

/** Sees that every report is recorded: one that cannot be written now is written before anything more is let through. */
export type Ledger = {
  report(report: Report): Promise<void>
  /** Lets it wait a moment for the next request, so that what both have to say is said, and written to disk, together. */
  reportSoon(report: Report): void
  /** Whether everything reported so far is recorded; tries what was not over again. */
  settle(): Promise<boolean>
  /** Resolves when no report is on its way. */
  drain(): Promise<void>
}

/** For a request to come that takes the report along. */
const patienceMs = 5

export function createLedger(record: (report: Report) => Promise<boolean>): Ledger {
  /** The oldest first. */
  const unwritten = new Set<Report>()
  const underway = new Set<Promise<void>>()
  let retrying: Promise<void> | undefined
  let waiting: Report[] = []
  let isTimed = false

  const write = async (report: Report): Promise<void> => {
    if (await record(report)) unwritten.delete(report)
    else unwritten.add(report)
  }
  const report = async (entry: Report): Promise<void> => {
    const writing = write(entry)
    underway.add(writing)
    await writing
    underway.delete(writing)
  }
  /** One at a time, however many wait for it, so that nothing is written twice. */
  const retry = async (): Promise<void> => {
    for (const entry of unwritten) await report(entry)
    retrying = undefined
  }

  const sendWaiting = (): void => {
    const reports = waiting
    waiting = []
    for (const entry of reports) void report(entry)
  }

  return {
    report,
    reportSoon(entry) {
      waiting.push(entry)
      if (isTimed) return
      isTimed = true
      setTimeout(() => {
        isTimed = false
        sendWaiting()
      }, patienceMs)
    },
    async drain() {
      sendWaiting()
      while (underway.size > 0) await Promise.all(underway)
    },
    async settle() {
      sendWaiting()
      // Those that came later are for later requests to wait for.
      if (underway.size > 0) await Promise.all(underway)
      if (unwritten.size === 0) return true
      retrying ??= retry()
      await retrying
      return unwritten.size === 0
    },
  }
}
