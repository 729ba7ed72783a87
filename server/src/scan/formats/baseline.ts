import type { GroupedFinding } from '../finding.ts'
import { printable } from './record.ts'

const heading = '# What a scan may find here without telling it again. One finding a line, in any order.'

/**
 * Fingerprint, rule and file: sorted, so that two branches change different lines. Only the fingerprint is read back; the
 * rest is for people.
 */
export function asBaseline(findings: readonly GroupedFinding[]): string {
  const lines = findings.map(({ fingerprint, rule, places }) =>
    `${fingerprint} ${rule} ${printable(places[0]?.file ?? '')}`.trimEnd(),
  )
  return [heading, ...[...new Set(lines)].sort(), ''].join('\n')
}
