export { createTriggers, type Triggers } from './triggers.ts'
export { triggersMigrations } from './triggers-store.ts'
