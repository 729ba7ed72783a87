export { type Bus, createBus } from './bus.ts'
export { busMigrations } from './bus-store.ts'
