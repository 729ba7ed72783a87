import type { RunScheduleView } from '@keyward/contract'
import { latestTimes, nextTime } from './times.ts'

type Rhythm = Pick<RunScheduleView, 'cron' | 'timeZone' | 'missed'>

/** What became due: which times are run, which have gone by, and when it is due again. */
export type Due = {
  readonly run: readonly Date[]
  /** The first and the last of the times that are not run. */
  readonly missed: { readonly from: Date; readonly to: Date } | undefined
  readonly nextAt: Date
}

/** Of the times that were missed, no more than these are made up for. */
const mostMadeUpFor = 24
/** A time is kept as long as it is no older: a start of the server takes seconds, and the look for what is due comes every five. */
const inTimeMilliseconds = 60_000

/** `nextAt` is the time for which the schedule waits; it has come. */
export function dueAt(rhythm: Rhythm, nextAt: Date, now: Date): Due {
  const { cron, timeZone, missed: policy } = rhythm
  const found = latestTimes(rhythm, { from: nextAt, now, most: mostMadeUpFor })
  // The rules of a time zone may have changed since it was worked out.
  const times = found.length > 0 ? found : [nextAt]
  const run = timesToRun(times, policy, now)
  const first = run[0] ?? new Date(now.getTime() + 1)
  const to = times.findLast((time) => time < first) ?? nextAt
  return {
    run,
    missed: nextAt < first ? { from: nextAt, to } : undefined,
    nextAt: nextTime(cron, timeZone, now),
  }
}

function timesToRun(times: readonly Date[], policy: Rhythm['missed'], now: Date): readonly Date[] {
  if (policy === 'all') return times
  const latest = times.slice(-1)
  if (policy === 'once') return latest
  return latest.filter((time) => now.getTime() - time.getTime() <= inTimeMilliseconds)
}
