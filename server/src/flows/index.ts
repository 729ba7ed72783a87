export { type AgentTask, agentTask, agentTaskAction } from './agent-task.ts'
export { createFlows, type Flows } from './flows.ts'
export { leakedKeyActions } from './leaked-key.ts'
