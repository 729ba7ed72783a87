import type { Confidence, Syntax } from './finding.ts'
import { type Around, type AssignedValue, readAssigned } from './generic/assigned.ts'
import { readColumns } from './generic/columns.ts'
import { judgeAssigned } from './generic/judge.ts'

export { assignmentKeywords, keyAt } from './generic/assigned.ts'

export type Assignment = AssignedValue & {
  readonly confidence: Confidence
  /** Why it is taken for a secret, in words for people. */
  readonly reasons: readonly string[]
}

/** The assignment whose key holds the keyword at `at`, if its value may be a secret. */
export function readAssignment(around: Around & { readonly file?: string }): Assignment | undefined {
  const assigned = readAssigned(around)
  if (!assigned) return
  const value = around.text.slice(assigned.start, assigned.end)
  const judged = judgeAssigned(assigned, value, { syntax: around.syntax, file: around.file ?? '' })
  return judged && { ...assigned, ...judged }
}

/** The values that their place in a whole file names, and that may be secrets. */
export function readColumnAssignments(bytes: Buffer, file: string, syntax: Syntax): Assignment[] {
  return readColumns(bytes, file, syntax).flatMap((assigned) => {
    const judged = judgeAssigned(assigned, bytes.toString('latin1', assigned.start, assigned.end), {
      syntax,
      file,
    })
    return judged ? [{ ...assigned, ...judged }] : []
  })
}
