export { ApprovalPage } from './approval-page.tsx'
export { ApprovalsPage } from './approvals-page.tsx'
export { RightsPage } from './rights-page.tsx'
