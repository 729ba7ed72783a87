import type { GroupedFinding, Place } from '../finding.ts'
import { printable } from './record.ts'

/** For a person at a terminal: one finding a row, further places below it. */
export function asTable(findings: readonly GroupedFinding[]): string {
  if (findings.length === 0) return 'No secrets found.\n'
  const rows = findings.flatMap((finding) => {
    const [first, ...others] = finding.places
    const named = [where(first), finding.title, finding.masked, finding.confidence]
    return [named, ...others.map((place) => [where(place), '', '', ''])]
  })
  const table = [['WHERE', 'WHAT', 'VALUE', 'CONFIDENCE'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  const lines = table.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n\n${summary(findings)}\n`
}

function where(place: Place | undefined): string {
  if (!place) return ''
  const commit = place.commit ? ` (commit ${place.commit.slice(0, 8)})` : ''
  return printable(`${place.file}:${place.line}${commit}`)
}

function summary(findings: readonly GroupedFinding[]): string {
  const inHistory = findings.filter(({ places }) => places.every((place) => place.commit !== null)).length
  const files = new Set(
    findings.flatMap(({ places }) => places.filter((place) => !place.commit).map(({ file }) => file)),
  )
  const history = inHistory > 0 ? `, ${inHistory} of them only in the git history` : ''
  const noun = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`
  return `${noun(findings.length, 'secret')} in ${noun(files.size, 'file')}${history}.`
}
