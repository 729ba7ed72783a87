import type { Place } from '../scan/index.ts'

export type Replacement = {
  readonly place: Place
  /** Undefined for a value that stays and is only masked in what is shown. */
  readonly reference: string | undefined
  readonly masked: string
}

type Line = { line: number; before: string; after: string }

const longestShownLine = 200

/** Puts references in the place of values. Every other byte stays; `lines` show the change with values masked. */
export function replaceValues(
  bytes: Buffer,
  replacements: readonly Replacement[],
  others: readonly Replacement[],
): { after: Buffer; lines: Line[] } {
  const ordered = withoutOverlaps(replacements, [])
  const parts: Buffer[] = []
  let at = 0
  for (const { place, reference } of ordered) {
    if (reference === undefined) continue
    parts.push(bytes.subarray(at, place.start), encoded(written(bytes, place, reference), place))
    at = place.end
  }
  parts.push(bytes.subarray(at))
  return { after: Buffer.concat(parts), lines: linesOf(bytes, withoutOverlaps(others, ordered)) }
}

/** Two rules may see one value, or a value inside another: what is in `first` wins, then the widest. */
function withoutOverlaps(replacements: readonly Replacement[], first: readonly Replacement[]): Replacement[] {
  const kept: Replacement[] = [...first]
  const wideFirst = replacements.toSorted(
    (a, b) => b.place.end - b.place.start - (a.place.end - a.place.start),
  )
  for (const candidate of wideFirst) {
    const { start, end } = candidate.place
    if (kept.every(({ place }) => end <= place.start || start >= place.end)) kept.push(candidate)
  }
  return kept.sort((a, b) => a.place.start - b.place.start)
}

/**
 * In an `.env` file and in a shell an unquoted `#` can begin a comment, so a reference that stands alone is quoted there; YAML
 * takes `key: keyward://…#value` as it is, but quotes do no harm.
 */
function written(bytes: Buffer, place: Place, reference: string): string {
  const quotable =
    place.syntax === 'env' || place.syntax === 'shell' || place.syntax === 'yaml' || place.syntax === 'toml'
  if (!quotable || place.quote !== '' || place.encoding !== 'utf8') return reference
  const before = bytes.toString('latin1', Math.max(0, place.start - 3), place.start)
  const after = bytes.toString('latin1', place.end, place.end + 1)
  const alone = /(?:=|:[ \t]|=[ \t]|^- )$/.test(before) && /^(?:[\r\n \t]|$)/.test(after)
  return alone ? `"${reference}"` : reference
}

function encoded(text: string, place: Place): Buffer {
  if (place.encoding === 'utf8') return Buffer.from(text)
  const little = Buffer.from(text, 'utf16le')
  return place.encoding === 'utf16le' ? little : little.swap16()
}

/** The lines that change, values masked, references shown. */
function linesOf(bytes: Buffer, ordered: readonly Replacement[]): Line[] {
  const groups = Map.groupBy(ordered, ({ place }) => place.line)
  const changed = [...groups].filter(([, group]) => group.some(({ reference }) => reference !== undefined))
  return changed.map(([line, group]) => {
    const first = group[0]?.place.start ?? 0
    const last = group.at(-1)?.place.end ?? 0
    const from = bytes.lastIndexOf(10, Math.max(0, first - 1)) + 1
    const next = bytes.indexOf(10, last)
    const end = next === -1 ? bytes.length : next
    let before = ''
    let after = ''
    let at = first === 0 ? 0 : from
    for (const { place, reference, masked } of group) {
      const between = bytes.toString('utf8', at, place.start)
      before += between + masked
      after += between + (reference === undefined ? masked : written(bytes, place, reference))
      at = place.end
    }
    const rest = bytes.toString('utf8', at, end)
    return { line, before: shown(before + rest), after: shown(after + rest) }
  })
}

const shown = (text: string): string => {
  const clean = text.replaceAll('\0', '').replace(/\r$/, '')
  return clean.length > longestShownLine ? `${clean.slice(0, longestShownLine)}…` : clean
}
