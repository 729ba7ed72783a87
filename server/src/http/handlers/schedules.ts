import { schedulesApi } from '@keyward/contract'
import type { RunSchedules, Schedules } from '../../schedules/index.ts'
import type { Triggers } from '../../triggers/index.ts'
import { type Route, route } from '../route.ts'
import { runScheduleRoutes } from './run-schedules.ts'
import { triggerRoutes } from './triggers.ts'

type Needs = { schedules: Schedules; runSchedules: RunSchedules; triggers: Triggers }

/** Of all that starts something by itself. */
export function scheduleRoutes({ schedules, runSchedules, triggers }: Needs): Route[] {
  return [
    ...runScheduleRoutes(runSchedules),
    ...triggerRoutes(triggers),
    route(schedulesApi.list, async () => ({ items: await schedules.list() })),
    route(schedulesApi.create, (wanted, { principal }) => schedules.create(wanted, principal)),
    route(
      schedulesApi.change,
      ({ scheduleId, ...change }, { principal }) => schedules.change(scheduleId, change, principal),
      ofSchedule,
    ),
    route(
      schedulesApi.remove,
      async ({ scheduleId }, { principal }) => {
        await schedules.remove(scheduleId, principal)
        return { removed: true }
      },
      ofSchedule,
    ),
    route(
      schedulesApi.run,
      ({ scheduleId }, { principal }) => schedules.run(scheduleId, principal),
      ofSchedule,
    ),
    route(
      schedulesApi.secret,
      async ({ scheduleId }, { principal }) => {
        const secret = await schedules.issueSecret(scheduleId, principal)
        return { secret: secret.reveal() }
      },
      ofSchedule,
    ),
  ]
}

const ofSchedule = ({ scheduleId }: { scheduleId: string }) => ({ type: 'Scan' as const, id: scheduleId })
