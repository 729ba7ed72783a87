export type { Delivery } from './push.ts'
export { createSchedules, type Schedules } from './schedules.ts'
export { schedulesMigrations } from './schedules-store.ts'
