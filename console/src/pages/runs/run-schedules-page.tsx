import { useQuery } from '@tanstack/react-query'
import { CalendarClock } from 'lucide-react'
import { runSchedulesQuery } from '../../api/schedule-queries.ts'
import { ListPage } from '../../ui/list-page.tsx'
import { runRooms } from './rooms.ts'
import { RunScheduleDialog } from './run-schedule-dialog.tsx'
import { RunScheduleLine } from './run-schedule-line.tsx'

export function RunSchedulesPage() {
  return (
    <ListPage
      title="Schedules"
      lead="Flows that are started by the clock, once each time, in the name of who made or changed the schedule last. Their approvals ask as those of any run."
      tabs={{ label: 'Work', rooms: runRooms }}
      query={useQuery(runSchedulesQuery)}
      add="Add a schedule"
      dialog={(props) => <RunScheduleDialog {...props} />}
      empty={{
        icon: CalendarClock,
        title: 'Nothing is started by the clock',
        text: 'A flow can look at a service each morning, or rotate keys every month.',
        command: 'keyward runs schedule add --help',
      }}
      line={(schedule) => <RunScheduleLine key={schedule.id} schedule={schedule} />}
    />
  )
}
