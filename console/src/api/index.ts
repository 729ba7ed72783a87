export { call, problemOf } from './client.ts'
export { type Connection, followEvents } from './live.ts'
