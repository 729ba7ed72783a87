export { anyUser } from './accounts.ts'
export {
  type Claim,
  createLend,
  type LeaseRequest,
  type Lend,
  type NewGrant,
} from './lend.ts'
export { lendMigrations } from './lend-store.ts'
export { type Probe, type ProbedLease, unanswered } from './receipts.ts'
export { accessTokens, type Minting } from './token-requests.ts'
