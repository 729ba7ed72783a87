export { createCatalogue, type Flow, flowViewOf } from './catalogue.ts'
export { createFlowDocuments, type FlowDocuments } from './documents.ts'
export { catalogueMigrations } from './documents-store.ts'
export { type Match, matchGoal, sayUsing } from './match-goal.ts'
