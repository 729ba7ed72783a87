import type { GroupedFinding } from '../finding.ts'
import { findingRecord } from './record.ts'

export const asJson = (findings: readonly GroupedFinding[]): string =>
  `${JSON.stringify(findings.map(findingRecord), undefined, 2)}\n`

export const asJsonLines = (findings: readonly GroupedFinding[]): string =>
  findings.map((finding) => `${JSON.stringify(findingRecord(finding))}\n`).join('')
