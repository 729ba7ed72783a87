export { createObserve } from './observe.ts'
export { observeMigrations } from './observe-store.ts'
