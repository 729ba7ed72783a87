import { runSchedulesApi } from '@keyward/contract'
import type { RunSchedules } from '../../schedules/index.ts'
import { type Route, route } from '../route.ts'

export function runScheduleRoutes(schedules: RunSchedules): Route[] {
  return [
    route(runSchedulesApi.list, async () => ({ items: await schedules.list() })),
    route(runSchedulesApi.times, async (rhythm) => schedules.times(rhythm)),
    route(runSchedulesApi.read, ({ scheduleId }) => schedules.read(scheduleId), ofSchedule),
    route(runSchedulesApi.create, (wanted, { principal }) => schedules.create(wanted, principal)),
    route(
      runSchedulesApi.change,
      ({ scheduleId, ...change }, { principal }) => schedules.change(scheduleId, change, principal),
      ofSchedule,
    ),
    route(
      runSchedulesApi.remove,
      async ({ scheduleId }, { principal }) => {
        await schedules.remove(scheduleId, principal)
        return { removed: true }
      },
      ofSchedule,
    ),
    route(
      runSchedulesApi.run,
      ({ scheduleId }, { principal }) => schedules.run(scheduleId, principal),
      ofSchedule,
    ),
  ]
}

const ofSchedule = ({ scheduleId }: { scheduleId: string }) => ({ type: 'Run' as const, id: scheduleId })
