export { runGuide } from './guide.ts'
