import type { RunDetail } from '@keyward/contract'

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
  readonly steps: readonly Step[]
  readonly ok: boolean
}

const marks = { ok: 'ok     ', failed: 'FAILED ', refused: 'REFUSED' } as const

export function renderReport({ project, unattended, run, steps, ok }: Report): string {
  const width = Math.max(...steps.map(({ step }) => step.length), 0)
  const lines = steps.map(({ step, state, detail }) => `  ${marks[state]} ${step.padEnd(width)} ${detail}`)
  const how = unattended ? 'unattended: nobody was asked' : 'approved by a person'
  return [
    '',
    `Report for ${project}${run ? ` (${run.id}, ${how})` : ''}`,
    ...lines,
    ok ? '  All of it held.' : '  Something did not hold; see above.',
    '',
  ].join('\n')
}
