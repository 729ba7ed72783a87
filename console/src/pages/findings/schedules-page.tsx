import { useQuery } from '@tanstack/react-query'
import { CalendarClock } from 'lucide-react'
import { schedulesQuery } from '../../api/schedule-queries.ts'
import { ListPage } from '../../ui/list-page.tsx'
import { findingRooms } from './rooms.ts'
import { ScheduleDialog } from './schedule-dialog.tsx'
import { ScheduleLine } from './schedule-line.tsx'

export function SchedulesPage() {
  return (
    <ListPage
      title="Schedules"
      lead="Folders that the server scans by the clock, as files change, or after a push. What is newly found is proposed for import, and waits for a person."
      tabs={{ label: 'Rooms of the findings', rooms: findingRooms }}
      query={useQuery(schedulesQuery)}
      add="Add a schedule"
      dialog={(props) => <ScheduleDialog {...props} />}
      empty={{
        icon: CalendarClock,
        title: 'Nothing is scanned by itself',
        text: 'A schedule finds a new secret the night after it was committed, or as soon as its file is saved.',
        command: 'keyward scan schedule add --help',
      }}
      line={(schedule) => <ScheduleLine key={schedule.id} schedule={schedule} />}
    />
  )
}
