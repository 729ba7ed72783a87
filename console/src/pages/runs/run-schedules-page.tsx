import { useQuery } from '@tanstack/react-query'
import { CalendarClock, Plus } from 'lucide-react'
import { useState } from 'react'
import { runSchedulesQuery } from '../../api/schedule-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { runRooms } from './rooms.ts'
import { RunScheduleDialog } from './run-schedule-dialog.tsx'
import { RunScheduleLine } from './run-schedule-line.tsx'

export function RunSchedulesPage() {
  const { data, error, isPending, refetch } = useQuery(runSchedulesQuery)
  const [adding, setAdding] = useState(false)
  const add = (
    <Button tone="solid" icon={Plus} onClick={() => setAdding(true)}>
      Add a schedule
    </Button>
  )
  return (
    <>
      <PageHeader
        title="Schedules"
        lead="Flows that are started by the clock, once each time, in the name of who made or changed the schedule last. Their approvals ask as those of any run."
        actions={data && data.items.length > 0 ? add : null}
      >
        <RoomTabs label="Work" rooms={runRooms} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton label="Loading schedules" /> : null}
      {data?.items.length === 0 ? (
        <Empty icon={CalendarClock} title="Nothing is started by the clock">
          <p>A flow can look at a service each morning, or rotate keys every month.</p>
          {add}
          <p>or, from a terminal:</p>
          <Command text="keyward runs schedule add --help" />
        </Empty>
      ) : null}
      {data && data.items.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {data.items.map((schedule) => (
              <RunScheduleLine key={schedule.id} schedule={schedule} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <RunScheduleDialog open={adding} onClose={() => setAdding(false)} />
    </>
  )
}
