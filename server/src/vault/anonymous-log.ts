import type { Json } from '@keyward/contract'
import type { Audit, EntryInput } from '../audit/index.ts'
import type { Clock } from '../core/index.ts'

const windowMilliseconds = 60_000
const mostPerWindow = 100
/** Of what they sent: their own words stand in a reason, and a path is as long as they like. */
const longestReason = 300
const longestTarget = 1000

type Needs = { audit: Pick<Audit, 'recordNow'>; clock: Pick<Clock, 'now'> }
type AnonymousEntry = Omit<EntryInput, 'detail'> & {
  readonly detail: {
    readonly operation: string
    readonly reason?: string
    readonly note?: Json
  }
}

/**
 * Records requests without a valid token, at most so many a minute: whoever reaches the port could fill the disk with them, and
 * tokens are too long to be guessed. How many were left out stands in the next entry.
 */
export function createAnonymousLog(
  { audit, clock }: Needs,
  leftOutName: 'alsoRefused' | 'alsoAnswered' = 'alsoRefused',
): (entry: AnonymousEntry) => Promise<void> {
  let windowStart = 0
  let recorded = 0
  let leftOut = 0
  return async ({ detail, ...entry }) => {
    const now = clock.now().getTime()
    if (Math.abs(now - windowStart) >= windowMilliseconds) {
      windowStart = now
      recorded = 0
    }
    if (recorded >= mostPerWindow) {
      leftOut++
      return
    }
    recorded++
    const before = leftOut === 0 ? {} : { [leftOutName]: leftOut }
    leftOut = 0
    await audit.recordNow({
      ...entry,
      target: clipped(entry.target, longestTarget),
      detail: {
        ...detail,
        ...(detail.reason === undefined ? {} : { reason: clipped(detail.reason, longestReason) }),
        ...before,
      },
    })
  }
}

const clipped = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most)}…` : text
