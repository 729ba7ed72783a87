import type { ScanEvent } from '../finding.ts'
import type { Looked } from '../threads/job.ts'

/** What is told of files that were looked through; what the baseline knows is not told again. */
export function* eventsOf(
  all: readonly Looked[],
  baseline: ReadonlySet<string> | undefined,
): Generator<ScanEvent> {
  for (const { problems, findings } of all) {
    for (const problem of problems) yield { kind: 'problem', ...problem }
    for (const finding of findings)
      if (!baseline?.has(finding.fingerprint)) yield { kind: 'finding', finding }
  }
}
