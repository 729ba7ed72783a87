/** What became of one thing. `kept`: it is there already with another content, and stays. */
export type Outcome = 'created' | 'present' | 'continued' | 'replaced' | 'kept' | 'failed' | 'planned'
export type Item = {
  readonly kind: 'mount' | 'secret' | 'policy' | 'approle'
  readonly path: string
  readonly outcome: Outcome
  readonly detail?: string
}

export type ImportReport = {
  readonly from: string
  readonly dryRun: boolean
  readonly items: readonly Item[]
  /** What cannot be had from there, and what to do about it. */
  readonly remarks: readonly string[]
}

/** How content that differs is dealt with: ours stays, or theirs is added (a new version, where there are versions). */
export type Conflict = 'keep' | 'replace'

export type Progress = {
  add(item: Item): void
  remark(text: string): void
}
