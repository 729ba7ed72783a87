export { type ActionNature, governed, natureOf } from './governed.ts'
export type { JudgedTask } from './judging.ts'
export { createRollout, type Rollout } from './rollout.ts'
export { rolloutMigrations } from './rollout-store.ts'
