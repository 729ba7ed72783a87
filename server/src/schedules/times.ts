import { Cron } from 'croner'
import { AppError } from '../core/index.ts'

/**
 * When a schedule is due next, strictly after `after`. A time that the clocks skip in spring is taken at the first moment after the
 * gap, and one that comes twice in autumn is taken once. Throws `request.invalid` for what is no schedule, or never comes.
 */
export function nextTime(cron: string, timeZone: string, after: Date): Date {
  let next: Date | null
  try {
    next = new Cron(cron, { timezone: knownZone(timeZone), mode: '5-part', paused: true }).nextRun(after)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('request.invalid', `'${cron}' is no schedule of five fields, as in '30 3 * * 1-5'`)
  }
  if (!next) throw new AppError('request.invalid', `'${cron}' names a time that never comes`)
  return next
}

export function knownZone(timeZone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone
  } catch {
    throw new AppError('request.invalid', `'${timeZone}' is no time zone, as Europe/Zurich is one`)
  }
}
