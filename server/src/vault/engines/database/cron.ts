import { AppError } from '../../../core/index.ts'

/** Times by the five fields of cron, in UTC: minute, hour, day of the month, month, day of the week. */
export type Schedule = {
  /** The first time after this one. */
  next(after: Date): Date
}

type Field = { readonly values: ReadonlySet<number>; readonly any: boolean }
type Range = { readonly least: number; readonly most: number; readonly names?: readonly string[] }

const ranges: readonly Range[] = [
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ') },
  { least: 0, most: 7, names: 'SUN MON TUE WED THU FRI SAT'.split(' ') },
]
const shorthands: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}
/** 29 February comes back after eight years at the latest. */
const searchedDays = 9 * 366
const longestText = 256

export function parseSchedule(text: string): Schedule {
  if (text.length > longestText) throw invalid('…', `it has more than ${longestText} characters`)
  const fields = (shorthands[text.trim().toLowerCase()] ?? text).trim().split(/\s+/)
  if (fields.length !== ranges.length)
    throw invalid(text, 'it has five fields, or is one of @hourly, @daily, …')
  const [minutes, hours, days, months, weekdays] = ranges.map((range, at) =>
    fieldOf(fields[at] ?? '', range, text),
  )
  if (!minutes || !hours || !days || !months || !weekdays) throw invalid(text, 'a field is missing')

  function fitsDay(day: Date): boolean {
    if (!months?.values.has(day.getUTCMonth() + 1)) return false
    const ofMonth = days?.values.has(day.getUTCDate()) ?? false
    const ofWeek = weekdays?.values.has(day.getUTCDay()) ?? false
    // As cron has always done it: when both are named, either is enough.
    return days?.any || weekdays?.any ? ofMonth && ofWeek : ofMonth || ofWeek
  }

  function within(day: Date, from: number): Date | undefined {
    for (const hour of hours?.values ?? [])
      for (const minute of minutes?.values ?? []) {
        const at = day.getTime() + (hour * 60 + minute) * 60_000
        if (at >= from) return new Date(at)
      }
    return undefined
  }

  const schedule: Schedule = {
    next(after) {
      const from = Math.floor(after.getTime() / 60_000) * 60_000 + 60_000
      const first = new Date(from)
      first.setUTCHours(0, 0, 0, 0)
      for (let count = 0; count < searchedDays; count++) {
        const day = new Date(first.getTime() + count * 86_400_000)
        const found = fitsDay(day) ? within(day, from) : undefined
        if (found) return found
      }
      throw invalid(text, 'there is no such day')
    },
  }
  schedule.next(new Date(0))
  return schedule
}

function fieldOf(text: string, range: Range, whole: string): Field {
  const values = text.split(',').flatMap((part) => valuesOf(part, range, whole))
  return { values: new Set(values.sort((a, b) => a - b)), any: /^[*?]/.test(text) }
}

/** `*`, `5`, `1-5`, `MON-FRI`, each with a step or without: `0/15` goes on to the end. */
function valuesOf(part: string, range: Range, whole: string): number[] {
  const [span = '', stepText] = part.split('/')
  const step = Number(stepText ?? 1)
  if (!Number.isInteger(step) || step < 1) throw invalid(whole, `"${part}" has no valid step`)
  const [start, end] = boundsOf(span, stepText !== undefined, range, whole)
  if (end < start) throw invalid(whole, `"${part}" ends before it begins`)
  const count = Math.floor((end - start) / step) + 1
  // Sunday is 7 as well as 0.
  return Array.from({ length: count }, (_, at) => start + at * step).map((value) =>
    range.most === 7 ? value % 7 : value,
  )
}

function boundsOf(span: string, stepped: boolean, range: Range, whole: string): [number, number] {
  if (span === '*' || span === '?') return [range.least, range.most]
  const [from = '', to] = span.split('-')
  const start = numberOf(from, range, whole)
  if (to !== undefined) return [start, numberOf(to, range, whole)]
  return [start, stepped ? range.most : start]
}

function numberOf(word: string, { least, most, names = [] }: Range, whole: string): number {
  const named = names.indexOf(word.toUpperCase())
  const number = named >= 0 ? named + least : /^\d+$/.test(word) ? Number(word) : Number.NaN
  if (!(number >= least && number <= most)) throw invalid(whole, `"${word}" is not from ${least} to ${most}`)
  return number
}

const invalid = (text: string, what: string): AppError =>
  new AppError('request.invalid', `could not parse rotation_schedule "${text}": ${what}`)
