export { type Approvals, createApprovals } from './approvals.ts'
export { approvalsMigrations, countPendingApprovals } from './approvals-store.ts'
export type { MayApprove, Ruling } from './ruling.ts'
