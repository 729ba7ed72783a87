export { createFileAnchor } from './anchor.ts'
export { type Audit, createAudit, type EntryInput } from './audit.ts'
export { auditMigrations } from './audit-store.ts'
export { type VerifyReport, verifyAudit } from './verify.ts'
