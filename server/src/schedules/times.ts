import { Cron } from 'croner'
import { AppError } from '../core/index.ts'

/**
 * When a schedule is due next, strictly after `after`. A time that the clocks skip in spring is taken at the first moment after the
 * gap, and one that comes twice in autumn is taken once; what is due all the time (a field of minutes or hours with `*`) goes on in
 * both. Throws `request.invalid` for what is no schedule, or never comes.
 */
export function nextTime(cron: string, timeZone: string, after: Date): Date {
  const next = cronOf(cron, timeZone).nextRun(after)
  if (!next) throw new AppError('request.invalid', `'${cron}' names a time that never comes`)
  return next
}

/** The `most` times that come after `after`, or fewer where there are not so many. */
export function nextTimes(
  { cron, timeZone }: { cron: string; timeZone: string },
  { after, most }: { after: Date; most: number },
): Date[] {
  const first = nextTime(cron, timeZone, after)
  return [first, ...cronOf(cron, timeZone).nextRuns(most - 1, first)]
}

/** The latest times up to `now` and not before `from`, the earliest first; `most` at most. */
export function latestTimes(
  { cron, timeZone }: { cron: string; timeZone: string },
  { from, now, most }: { from: Date; now: Date; most: number },
): Date[] {
  // A time that is exactly the reference would not count.
  const reference = new Date(now.getTime() + 1)
  return cronOf(cron, timeZone)
    .previousRuns(most, reference)
    .filter((time) => time >= from)
    .reverse()
}

function cronOf(cron: string, timeZone: string): Cron {
  const zone = knownZone(timeZone)
  try {
    return new Cron(cron, { timezone: zone, mode: '5-part', paused: true, fixedTimeRule: 'no-wildcard' })
  } catch {
    throw new AppError('request.invalid', `'${cron}' is no schedule of five fields, as in '30 3 * * 1-5'`)
  }
}

export function knownZone(timeZone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone
  } catch {
    throw new AppError('request.invalid', `'${timeZone}' is no time zone, as Europe/Zurich is one`)
  }
}
