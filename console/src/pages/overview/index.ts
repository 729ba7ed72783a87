export { nextSteps, type Step } from './next-steps.ts'
export { OverviewPage } from './overview-page.tsx'
