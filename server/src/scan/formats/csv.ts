import type { GroupedFinding } from '../finding.ts'
import { findingRecord, printable } from './record.ts'

const columns = [
  'file',
  'line',
  'endLine',
  'column',
  'rule',
  'provider',
  'confidence',
  'fingerprint',
  'masked',
  'commit',
  'author',
  'committedAt',
] as const

/** One row for each place (RFC 4180). A field that a spreadsheet would take for a formula begins with an apostrophe. */
export function asCsv(findings: readonly GroupedFinding[]): string {
  const rows = findings.map(findingRecord).flatMap((finding) =>
    finding.places.map((place) => {
      const row = { ...finding, ...place }
      return columns.map((column) => field(row[column])).join(',')
    }),
  )
  return [columns.join(','), ...rows, ''].join('\r\n')
}

function field(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = printable(value)
  const safe = /^[=+\-@]/.test(text) ? `'${text}` : text
  return /[",'\s]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
