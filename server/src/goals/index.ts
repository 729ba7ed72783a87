export { createGoals, type Goals } from './goals.ts'
export { goalsMigrations } from './goals-store.ts'
export { openModelPlanner } from './model/open-model.ts'
export { ownActions, ownFlows } from './own-flows.ts'
