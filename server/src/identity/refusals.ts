import type { Audit, EntryInput } from '../audit/index.ts'
import { type Clock, type Log, reasonOf } from '../core/index.ts'

const windowMs = 60_000
const perWindow = 20

/**
 * Records refusals of callers that nobody knows, at most so many a minute: the credentials are too long to be guessed, so
 * a flood of wrong ones can do no harm but fill the log. What was left out is counted in the next entry.
 */
export type RefusalRecorder = (
  entry: Omit<EntryInput, 'detail' | 'outcome'> & { reason: string },
) => Promise<void>

export function createRefusalRecorder({
  audit,
  clock,
  log,
}: {
  audit: Pick<Audit, 'recordNow'>
  clock: Pick<Clock, 'now'>
  log: Log
}): RefusalRecorder {
  let windowStart = 0
  let recorded = 0
  let leftOut = 0
  return async (entry) => {
    const now = clock.now().getTime()
    if (Math.abs(now - windowStart) >= windowMs) {
      windowStart = now
      recorded = 0
    }
    if (recorded >= perWindow) {
      leftOut++
      return
    }
    recorded++
    const { reason, ...rest } = entry
    const detail = leftOut === 0 ? { reason } : { reason, alsoRefused: leftOut }
    leftOut = 0
    try {
      await audit.recordNow({ ...rest, outcome: 'denied', detail })
    } catch (error) {
      // It is refused either way; the audit log's own health says that it cannot be written.
      log.error({ event: entry.type, reason: reasonOf(error) }, 'a refusal could not be recorded')
    }
  }
}
