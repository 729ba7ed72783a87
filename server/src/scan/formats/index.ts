import type { GroupedFinding } from '../finding.ts'
import { asBaseline } from './baseline.ts'
import { asCsv } from './csv.ts'
import { asGithub } from './github.ts'
import { asJson, asJsonLines } from './json.ts'
import { asJunit } from './junit.ts'
import { asSarif } from './sarif.ts'
import { asTable } from './table.ts'

export const formats = ['table', 'json', 'jsonl', 'sarif', 'csv', 'junit', 'github', 'baseline'] as const
export type Format = (typeof formats)[number]

/** Findings as text that ends with a line end. Values are masked in every format. */
export function formatFindings(format: Format, findings: readonly GroupedFinding[]): string {
  switch (format) {
    case 'table':
      return asTable(findings)
    case 'json':
      return asJson(findings)
    case 'jsonl':
      return asJsonLines(findings)
    case 'sarif':
      return asSarif(findings)
    case 'csv':
      return asCsv(findings)
    case 'junit':
      return asJunit(findings)
    case 'github':
      return asGithub(findings)
    case 'baseline':
      return asBaseline(findings)
  }
}
