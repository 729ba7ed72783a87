export { type Approvals, createApprovals } from './approvals.ts'
export { approvalsMigrations, countPendingApprovals } from './approvals-store.ts'
export type { Directory } from './directory.ts'
export type { MayApprove } from './ruling.ts'
