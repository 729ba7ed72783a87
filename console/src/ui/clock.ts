/** The commonest rhythms, as five fields of cron and in words. */
export const rhythms = [
  ['30 3 * * *', 'every night at 03:30'],
  ['0 * * * *', 'every hour'],
  ['0 7 * * 1-5', 'Monday to Friday at 07:00'],
  ['own', 'as I write it'],
] as const

/** When, as a form asks for it: one of the rhythms, or one's own. */
export type Clock<R extends string = (typeof rhythms)[number][0]> = {
  readonly rhythm: R
  readonly cron: string
  readonly timeZone: string
}

export const localZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

export const cronOf = ({ rhythm, cron }: Clock<string>): string => (rhythm === 'own' ? cron.trim() : rhythm)

export function clockOf(cron: string, timeZone: string): Clock {
  const known = rhythms.find(([name]) => name === cron)
  return { rhythm: known?.[0] ?? 'own', cron, timeZone }
}

/** The commonest rhythms in words; the others as they are written. */
export function cronText(cron: string): string {
  const [, minute = '', hour = '', rest = ''] = /^(\d+|\*) (\d+|\*) (.+)$/.exec(cron) ?? []
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`
  if (minute === '' || minute === '*') return cron
  if (hour === '*') return rest === '* * *' ? `every hour at :${minute.padStart(2, '0')}` : cron
  if (rest === '* * *') return `every day at ${time}`
  return rest === '* * 1-5' ? `Monday to Friday at ${time}` : cron
}
