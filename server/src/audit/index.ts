export { createFileAnchor } from './anchor.ts'
export { type Audit, createAudit, type EntryInput } from './audit.ts'
export { auditMigrations, entryFromCopy } from './audit-store.ts'
export { chainStart, isSignedHead, problemOfEntry, type VerifyReport, verifyAudit } from './verify.ts'
