export type Duration = 'hour' | 'day' | 'week' | 'month'

/** How long an agent may ask for leases. */
export const durations: readonly (readonly [Duration, string])[] = [
  ['hour', 'an hour'],
  ['day', 'a day'],
  ['week', 'a week'],
  ['month', '30 days'],
]

const seconds: Record<Duration, number> = { hour: 3600, day: 86_400, week: 604_800, month: 2_592_000 }

export const secondsOf = (duration: Duration): number => seconds[duration]
