export { createCustomPolicies } from './custom-policies.ts'
export {
  createPolicy,
  type Decision,
  type Facts,
  type Policy,
  type ResourceType,
} from './policy.ts'
export { policyMigrations } from './policy-store.ts'
