import { formedLengths, formedPlaceholder } from '../../core/index.ts'
import { checksumOf } from '../checks.ts'
import { exampleOf } from './example.ts'
import { detectorOf, type Part, partsOf, type Row } from './form.ts'
import { groups } from './index.ts'

/** How a placeholder is made that a tool takes for a key of its own. */
export type PlaceholderForm = {
  /** What stands in front of each placeholder and belongs to it. */
  readonly prefix: string
  /** A new one, without the prefix. */
  make(): string
}

type Try = { readonly prefix: string; readonly length: number; readonly row: Row | undefined }

/** Random text may look written, once in ten thousand times. */
const attempts = 20
const longestPrefix = 32
/** Its letters and digits are all that a placeholder has; what else an alphabet may hold, a key need not. */
const wideEnough = ['an', 'word', 'url', 'b64']

/**
 * By the name of a rule of the scanner (`github-personal-access-token`), or by a form as the rules are written
 * (`xoxb-<digit 12>-<digit 12>-<an 24>`). Undefined where no placeholder can have it: it has to end in 20 or more letters and digits, and a
 * checksum has to be one that is known.
 */
export function placeholderFormOf(like: string): PlaceholderForm | undefined {
  for (const tried of candidates(like)) {
    for (const finish of finishes) {
      const make = (): string | undefined => made(tried, finish)
      if (make() !== undefined) return { prefix: tried.prefix, make: () => make() ?? fail(like) }
    }
  }
  return undefined
}

function fail(like: string): never {
  throw new Error(`no placeholder could be made like ${like}`)
}

type Finish = (placeholder: string) => string
/** Without a checksum, and with the one of GitHub and npm, which is of what is random, in the last six characters. */
const finishes: readonly Finish[] = [
  (placeholder) => placeholder,
  (placeholder) => placeholder.slice(0, -6) + checksumOf(placeholder.slice(0, -6)),
]

function made({ prefix, length, row }: Try, finish: Finish): string | undefined {
  const judge = row && detectorOf(row).judge
  for (let attempt = 0; attempt < attempts; attempt++) {
    const placeholder = finish(formedPlaceholder(length))
    const verdict = judge?.(prefix + placeholder)
    if (verdict !== false && verdict !== 'low') return placeholder
  }
  return undefined
}

function candidates(like: string): Try[] {
  const rows = groups.flatMap((group) => group.rows.filter(({ rule }) => rule === like))
  if (rows.length === 0) return like.includes('<') ? tryOf(like, undefined) : []
  return rows.flatMap((row) => [row.form].flat().flatMap((form) => tryOf(form, row)))
}

function tryOf(form: string, row: Row | undefined): Try[] {
  const parts = readable(form)
  const last = parts.at(-1)
  if (last?.kind !== 'drawn' || !wideEnough.includes(last.alphabet)) return []
  const length = Math.max(last.least, formedLengths.least)
  const prefix = parts.slice(0, -1).map(shortest).join('')
  const isFit = length <= Math.min(last.most, formedLengths.most) && prefix.length <= longestPrefix
  return isFit && /^[A-Za-z0-9_.-]*$/.test(prefix) ? [{ prefix, length, row }] : []
}

/** None for what is no form. */
function readable(form: string): Part[] {
  try {
    return partsOf(form)
  } catch {
    return []
  }
}

const shortest = (part: Part): string => {
  if (part.kind === 'text') return part.text
  if (part.kind === 'choice') return part.of[0] ?? ''
  return exampleOf(`<${part.alphabet} ${part.least}>`, (limit) => limit >> 1)
}
