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
