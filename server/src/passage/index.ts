export { passageMigrations } from './passage-store.ts'
export { createPassages, type Passages } from './passages.ts'
export { createRemote, type Listen, type Remote } from './remote.ts'
