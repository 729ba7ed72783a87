import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { CircleCheck } from 'lucide-react'
import { approvalsQuery } from '../../api/queries.ts'
import { Command } from '../../ui/copy.tsx'
import { FilterLinks } from '../../ui/filter-links.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Inbox } from './inbox.tsx'
import { approvalRooms } from './rooms.ts'

const route = getRouteApi('/approvals')
const states = [
  ['pending', 'Waiting'],
  ['approved', 'Approved'],
  ['denied', 'Denied'],
  ['expired', 'Expired'],
  ['cancelled', 'Cancelled'],
  ['voided', 'Void'],
  ['superseded', 'Replaced'],
  ['all', 'All'],
] as const

export function ApprovalsPage() {
  const { state = 'pending' } = route.useSearch()
  const list = useInfiniteQuery(approvalsQuery(state === 'all' ? undefined : state))
  const approvals = list.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <>
      <PageHeader
        title="Approvals"
        lead="Each answer holds for exactly what was shown, once. If anything about it changes, the answer is void and nothing runs."
      >
        <RoomTabs label="Approvals" rooms={approvalRooms} />
      </PageHeader>
      <div className="mb-4">
        <FilterLinks
          label="Approvals by state"
          to="/approvals"
          links={states.map(([name, text]) => ({
            text,
            search: { state: name === 'pending' ? undefined : name },
            chosen: state === name,
          }))}
        />
      </div>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton label="Loading approvals" /> : null}
      {list.data && approvals.length === 0 ? <Nothing waiting={state === 'pending'} /> : null}
      {approvals.length > 0 ? <Inbox key={state} approvals={approvals} more={list} /> : null}
    </>
  )
}

function Nothing({ waiting }: { waiting: boolean }) {
  if (!waiting) {
    return (
      <Empty icon={CircleCheck} title="No approval is in this state">
        <p>Choose another filter above.</p>
      </Empty>
    )
  }
  return (
    <Empty icon={CircleCheck} title="Nothing waits for your answer">
      <p>Requests show up here the moment they are made. They can be answered from a terminal, too:</p>
      <Command text="keyward approve" />
    </Empty>
  )
}
