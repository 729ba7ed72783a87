import type { ApprovalView } from '@keyward/contract'
import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { CircleCheck, Hourglass, UsersRound } from 'lucide-react'
import { approvalsQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { approvalLook, Badge, riskLook } from '../../ui/badge.tsx'
import { Command } from '../../ui/copy.tsx'
import { FilterLinks } from '../../ui/filter-links.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
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
      {approvals.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {approvals.map((approval) => (
              <ApprovalRow key={approval.id} approval={approval} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <LoadMore more={list} />
    </>
  )
}

function ApprovalRow({ approval }: { approval: ApprovalView }) {
  const pending = approval.state === 'pending'
  return (
    <li className="relative flex flex-wrap items-center gap-x-6 gap-y-2 px-5 py-4 first:rounded-t-xl last:rounded-b-xl hover:bg-hover">
      <div className="min-w-[14rem] flex-1">
        <Link
          to="/approvals/$approvalId"
          params={{ approvalId: approval.id }}
          className="font-medium after:absolute after:inset-0 after:content-['']"
        >
          {approval.title}
        </Link>
        <p className="text-[0.8125rem] break-words text-muted">
          {approval.action} on {approval.target}, asked by <Actor id={approval.requestedBy} />{' '}
          <Time at={approval.requestedAt} />
        </p>
      </div>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        {approval.quorum > 1 ? (
          <span className="inline-flex items-center gap-1.5 text-xs text-muted">
            <UsersRound size={13} aria-hidden="true" />
            {allowedBy(approval)} of {approval.quorum} people
          </span>
        ) : null}
        <Badge look={riskLook[approval.risk]} bare />
        {pending ? (
          <span className="inline-flex items-center gap-1.5 text-xs text-muted">
            <Hourglass size={13} aria-hidden="true" />
            <Countdown until={approval.expiresAt} />
          </span>
        ) : null}
        <Badge look={approvalLook[approval.state]} />
      </div>
    </li>
  )
}

const allowedBy = ({ approvals }: ApprovalView): number =>
  approvals.filter(({ decision }) => decision === 'approved').length

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
