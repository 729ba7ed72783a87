export { passageMigrations } from './passage-store.ts'
export { createPassages, type Passages } from './passages.ts'
