export { GoalPage } from './goal-page.tsx'
export { GoalsPage } from './goals-page.tsx'
