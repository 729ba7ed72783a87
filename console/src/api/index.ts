export { ApiError, call, type Problem, problemOf } from './client.ts'
export { type Connection, followEvents } from './live.ts'
