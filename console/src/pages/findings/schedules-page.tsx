import { useQuery } from '@tanstack/react-query'
import { CalendarClock, Plus } from 'lucide-react'
import { useState } from 'react'
import { schedulesQuery } from '../../api/schedule-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { findingRooms } from './rooms.ts'
import { ScheduleDialog } from './schedule-dialog.tsx'
import { ScheduleLine } from './schedule-line.tsx'

export function SchedulesPage() {
  const { data, error, isPending, refetch } = useQuery(schedulesQuery)
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
        lead="Folders that the server scans by the clock, as files change, or after a push. What is newly found is proposed for import, and waits for a person."
        actions={data && data.items.length > 0 ? add : null}
      >
        <RoomTabs label="Rooms of the findings" rooms={findingRooms} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton label="Loading schedules" /> : null}
      {data?.items.length === 0 ? (
        <Empty icon={CalendarClock} title="Nothing is scanned by itself">
          <p>
            A schedule finds a new secret the night after it was committed, or as soon as its file is saved.
          </p>
          {add}
          <p>or, from a terminal:</p>
          <Command text="keyward scan schedule add --help" />
        </Empty>
      ) : null}
      {data && data.items.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {data.items.map((schedule) => (
              <ScheduleLine key={schedule.id} schedule={schedule} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <ScheduleDialog open={adding} onClose={() => setAdding(false)} />
    </>
  )
}
