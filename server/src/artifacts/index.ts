export { type Artifacts, createArtifacts } from './artifacts.ts'
export { artifactsMigrations } from './artifacts-store.ts'
