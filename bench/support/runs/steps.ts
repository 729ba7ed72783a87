// The nine tasks that every engine of bench/runs.ts carries. Nothing of Node is used here: Temporal takes this into its sandbox.
type Step = { readonly id: string; readonly needs: readonly string[]; readonly approved?: true }

export const steps = [
  { id: 'fetch', needs: [] },
  { id: 'test', needs: ['fetch'] },
  { id: 'lint', needs: ['fetch'] },
  { id: 'preview', needs: ['test', 'lint'] },
  { id: 'merge', needs: ['preview'], approved: true },
  { id: 'deploy', needs: ['merge'] },
  { id: 'migrate', needs: ['deploy'] },
  { id: 'watch', needs: ['migrate'] },
  { id: 'tell', needs: ['watch'] },
] as const satisfies readonly Step[]
export type StepId = (typeof steps)[number]['id']

/** The same for an engine in which a workflow is code. */
export async function carried(by: {
  task(id: StepId): PromiseLike<unknown>
  approval(): Promise<void>
  /** Waits for several; `Promise.all` unless the engine has its own. */
  all?(tasks: PromiseLike<unknown>[]): PromiseLike<unknown>
}): Promise<void> {
  const all = by.all ?? ((tasks) => Promise.all(tasks))
  await by.task('fetch')
  await all([by.task('test'), by.task('lint')])
  await by.task('preview')
  await by.approval()
  await by.task('merge')
  await by.task('deploy')
  await by.task('migrate')
  await by.task('watch')
  await by.task('tell')
}
