export { type AgentTask, agentTaskAction } from './agent-task.ts'
export { createEgressGate } from './egress-gate.ts'
export { createFlows, type Flows } from './flows.ts'
export { leakedKeyActions } from './leaked-key.ts'
