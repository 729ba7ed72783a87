export { runSchedulesMigrations } from './firings-store.ts'
export { createRunSchedules, type RunSchedules } from './run-schedules.ts'
export { createSchedules, type Schedules } from './schedules.ts'
export { schedulesMigrations } from './schedules-store.ts'
