export { type CustomPolicies, createCustomPolicies, type PolicyVersion } from './custom-policies.ts'
export {
  type CustomPolicy,
  createPolicy,
  type Decision,
  type DecisionRequest,
  type Facts,
  type Policy,
  type PolicyFile,
  type ResourceType,
} from './policy.ts'
export { policyMigrations } from './policy-store.ts'
