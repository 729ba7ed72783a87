export { createObserve } from './observe.ts'
