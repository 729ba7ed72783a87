import { parse, TomlDate, TomlError } from 'smol-toml'
import { z } from 'zod'
import { AppError } from '../../core/index.ts'
import type { Detector } from '../detector.ts'
import { whySlow } from './growth.ts'
import type { IgnoreEntry } from './ignores.ts'

/** What a project says about its scans, in `.keyward.toml`. */
export type Settings = {
  readonly detectors: readonly Detector[]
  readonly ignores: readonly IgnoreEntry[]
}

const confidence = z.enum(['high', 'medium', 'low'])

const rule = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, 'is written in small letters, digits and hyphens'),
  title: z.string().min(1).max(100),
  provider: z.string().min(1).max(60).default('own'),
  keywords: z.array(z.string().min(3, 'has three characters or more').max(64)).min(1),
  pattern: z.string().min(1).max(2000),
  ignore_case: z.boolean().default(false),
  confidence: confidence.default('medium'),
})

const ignored = z
  .strictObject({
    fingerprint: z
      .string()
      .regex(/^kf1_[0-9a-f]{32}$/, 'is what a scan tells: kf1_ and 32 digits')
      .optional(),
    rule: z.string().min(1).optional(),
    path: z.string().min(1).optional(),
    reason: z.string().min(1),
    until: z
      .instanceof(TomlDate, { error: 'is a date, such as 2027-01-31, without quotes' })
      .refine((date) => date.isDate(), 'is a date without a time')
      .transform((date) => date.toISOString())
      .optional(),
  })
  .refine(({ fingerprint, rule: named, path }) => fingerprint ?? named ?? path, {
    error: 'says what is ignored: a fingerprint, a rule or a path',
  })

const shape = z.strictObject({ rule: z.array(rule).default([]), ignore: z.array(ignored).default([]) })

/** How far a match may reach around a keyword. */
const reach = { before: 128, after: 512 }

/** Reads the text of a settings file. `file` is the name that mistakes are told by. */
export function parseSettings(text: string, file: string): Settings {
  const lines = text.split('\n')
  const parsed = shape.safeParse(tableOf(text, file))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw mistake(file, issue ? lineOf(lines, issue.path) : 1, wordsOf(issue))
  }
  const { rule: rules, ignore: ignores } = parsed.data
  return {
    detectors: rules.map((given, index) =>
      detectorOf(given, file, lineOf(lines, ['rule', index, 'pattern'])),
    ),
    ignores: ignores.map((given, index) => ({ ...given, line: lineOf(lines, ['ignore', index]) })),
  }
}

const mistake = (file: string, line: number, what: string): AppError =>
  new AppError('request.invalid', `${file}:${line}: ${what}`)

function tableOf(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // Further lines of the message quote the file.
    const [what = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
    throw mistake(file, error.line, `this is no TOML: ${what}`)
  }
}

type Issue = z.core.$ZodIssue

function wordsOf(issue: Issue | undefined): string {
  if (!issue) return 'this is no settings file'
  const where = issue.path.filter((part) => typeof part === 'string').join('.')
  if (issue.code === 'unrecognized_keys') {
    return `${where === '' ? 'the file' : where} knows no ${issue.keys.join(', ')}`
  }
  return `${where === '' ? 'the file' : where}: ${issue.message}`
}

/** The line of the nth `[[rule]]`, or of a key below it. Counts from 1. */
function lineOf(lines: readonly string[], [table, index, key]: readonly PropertyKey[]): number {
  const heading = new RegExp(`^\\s*\\[\\[\\s*${String(table)}\\s*\\]\\]`)
  let left = typeof index === 'number' ? index : 0
  const begin = lines.findIndex((line) => heading.test(line) && left-- === 0)
  if (begin < 0) return 1
  if (typeof key !== 'string') return begin + 1
  const rest = lines.slice(begin + 1)
  const end = rest.findIndex((line) => /^\s*\[/.test(line))
  const offset = rest
    .slice(0, end < 0 ? rest.length : end)
    .findIndex((line) => new RegExp(`^\\s*${key}\\s*=`).test(line))
  return offset < 0 ? begin + 1 : begin + offset + 2
}

function detectorOf(given: z.infer<typeof rule>, file: string, line: number): Detector {
  const pattern = expressionOf(given, file, line)
  if (new RegExp(`^(?:${pattern.source})$`, pattern.flags).test(''))
    throw mistake(file, line, `rule ${given.id}: its pattern fits the empty text`)
  const slow = whySlow(pattern)
  if (slow) throw mistake(file, line, `rule ${given.id}: ${slow}`)
  const { id, title, provider, keywords, confidence: level } = given
  return { rule: id, title, provider, keywords, confidence: level, pattern, reach, rank: 3 }
}

function expressionOf(
  { id, pattern, ignore_case: ignoreCase }: z.infer<typeof rule>,
  file: string,
  line: number,
): RegExp {
  try {
    return new RegExp(pattern, ignoreCase ? 'i' : '')
  } catch (error) {
    const [, why = ''] = /: ([^:]+)$/.exec(error instanceof Error ? error.message : '') ?? []
    throw mistake(file, line, `rule ${id}: its pattern is no regular expression: ${why}`)
  }
}
