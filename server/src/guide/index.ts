export { type GuideOptions, runGuide } from './guide.ts'
