import type { RunView } from '@keyward/contract'
import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Workflow } from 'lucide-react'
import { runsQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { Badge, lookOfRun } from '../../ui/badge.tsx'
import { buttonStyle } from '../../ui/button.tsx'
import { FilterLinks } from '../../ui/filter-links.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Time } from '../../ui/time.tsx'

import { runRooms } from './rooms.ts'

const route = getRouteApi('/runs')
const states = [
  [undefined, 'All'],
  ['AwaitingApproval', 'Waiting'],
  ['Running', 'Running'],
  ['Succeeded', 'Succeeded'],
  ['Failed', 'Failed'],
  ['Cancelled', 'Cancelled'],
] as const

export function RunsPage() {
  const { state } = route.useSearch()
  const list = useInfiniteQuery(runsQuery(state))
  const runs = list.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <>
      <PageHeader
        title="Runs"
        lead="Work in steps that survives a crash: after a restart each run goes on where it was, and nothing is done twice."
      >
        <RoomTabs label="Work" rooms={runRooms} />
      </PageHeader>
      <div className="mb-4">
        <FilterLinks
          label="Runs by state"
          to="/runs"
          links={states.map(([name, text]) => ({ text, search: { state: name }, chosen: state === name }))}
        />
      </div>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton label="Loading runs" /> : null}
      {list.data && runs.length === 0 ? <Nothing filtered={state !== undefined} /> : null}
      {runs.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {runs.map((run) => (
              <RunRow key={run.id} run={run} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <LoadMore more={list} />
    </>
  )
}

function RunRow({ run }: { run: RunView }) {
  return (
    <li className="relative flex flex-wrap items-center gap-x-5 gap-y-2 px-4 py-3 first:rounded-t-xl last:rounded-b-xl hover:bg-hover">
      <div className="min-w-0 basis-full md:flex-1 md:basis-0">
        <Link
          to="/runs/$runId"
          params={{ runId: run.id }}
          className="font-medium after:absolute after:inset-0 after:content-['']"
        >
          {run.title}
        </Link>
        <p className="truncate text-[0.8125rem] text-muted">
          {run.flow} · by <Actor id={run.requestedBy} />
          {run.unattended ? ' · unattended' : ''}
        </p>
      </div>
      <Steps run={run} />
      <span className="md:w-[10rem]">
        <Badge look={lookOfRun(run.state, run.outcome)} />
      </span>
      <span className="ml-auto text-right text-xs text-muted md:w-[6.5rem]">
        <Time at={run.finishedAt ?? run.createdAt} />
      </span>
    </li>
  )
}

/** How far it is, as a bar of steps with the figures beside it. */
function Steps({ run: { doneCount, taskCount } }: { run: RunView }) {
  const share = taskCount === 0 ? 0 : doneCount / taskCount
  return (
    <span className="flex items-center gap-2.5 text-xs whitespace-nowrap text-muted tabular-nums md:w-[8.5rem]">
      <span className="h-1.5 w-16 overflow-hidden rounded-full bg-calm-wash" aria-hidden="true">
        <span className="block h-full rounded-full bg-brass-mark" style={{ width: `${share * 100}%` }} />
      </span>
      {doneCount} of {taskCount}
    </span>
  )
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty icon={Workflow} title="No run is in this state">
        <p>Choose another filter above.</p>
      </Empty>
    )
  }
  return (
    <Empty icon={Workflow} title="Nothing has run yet">
      <p>
        Review the import of a finding: it starts the first run, which waits for your approval before it
        changes anything.
      </p>
      <Link to="/findings" className={buttonStyle('solid')}>
        Go to the findings
      </Link>
    </Empty>
  )
}
