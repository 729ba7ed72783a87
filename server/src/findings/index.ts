export { createFindings, type Findings } from './findings.ts'
export { findingsMigrations } from './findings-store.ts'
export { type FileChange, previewJson } from './import.ts'
