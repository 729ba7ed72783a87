export type { Audit, EntryInput } from './audit.ts'
