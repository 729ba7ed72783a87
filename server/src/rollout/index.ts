export type { JudgedTask, Judgement } from './judging.ts'
export { createRollout, type Rollout } from './rollout.ts'
export { rolloutMigrations } from './rollout-store.ts'
