import type { ApprovalState, RunDetail } from '@keyward/contract'

export type Step = {
  readonly step: string
  readonly state: 'ok' | 'failed' | 'refused'
  readonly detail: string
}

/** What the first run did, step by step. */
export type Report = {
  readonly project: string
  readonly unattended: boolean
  readonly run: { readonly id: string; readonly state: RunDetail['state'] } | null
  /** How the question was answered, where it was asked. */
  readonly approval: ApprovalState | null
  readonly steps: readonly Step[]
  readonly ok: boolean
}

const marks = { ok: 'ok     ', failed: 'FAILED ', refused: 'REFUSED' } as const

export function renderReport({ project, unattended, run, approval, steps, ok }: Report): string {
  const width = Math.max(...steps.map(({ step }) => step.length), 0)
  const lines = steps.map(({ step, state, detail }) => `  ${marks[state]}  ${step.padEnd(width)}  ${detail}`)
  const how = unattended ? 'unattended: nobody was asked' : (approval ?? 'no answer')
  const imported = steps.some(({ step, state }) => step === 'import' && state === 'ok')
  return [
    '',
    `Report for ${project}`,
    ...(run ? [`Run ${run.id}, ${how}`] : []),
    ...lines,
    summary(ok, approval, imported),
    ...(imported && run ? [`To put the files back: npx keyward findings undo ${run.id}`] : []),
    '',
  ].join('\n')
}

function summary(ok: boolean, approval: ApprovalState | null, imported: boolean): string {
  if (ok) return 'All of it held.'
  if (!imported && approval !== null && approval !== 'approved')
    return 'Nothing was changed: the files are as they were, and nothing was stored.'
  return 'Something did not hold; see above.'
}
