import type { Confidence, GroupedFinding, Place } from '../finding.ts'
import { printable } from './record.ts'

const levelOf: Record<Confidence, 'error' | 'warning' | 'notice'> = {
  high: 'error',
  medium: 'warning',
  low: 'notice',
}

/** Workflow commands: GitHub shows each as an annotation, beside the line where the work tree still has it. */
export const asGithub = (findings: readonly GroupedFinding[]): string =>
  findings.flatMap((finding) => finding.places.map((place) => annotation(finding, place))).join('')

function annotation({ title, masked, confidence, fingerprint }: GroupedFinding, place: Place): string {
  const message = `${title} (${masked}), ${fingerprint}`
  const { file, line, endLine, column, commit } = place
  if (commit) {
    return `::${levelOf[confidence]} title=${property(title)}::${data(`${message}: ${file}:${line} in commit ${commit}`)}\n`
  }
  const where = `file=${property(file)},line=${line},endLine=${endLine},col=${column}`
  return `::${levelOf[confidence]} ${where},title=${property(title)}::${data(message)}\n`
}

const data = (text: string): string => printable(text).replaceAll('%', '%25')
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
