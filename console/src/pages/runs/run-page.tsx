import type { RunDetail } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useCallback } from 'react'
import { runQuery, statusQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { Badge, lookOfRun } from '../../ui/badge.tsx'
import { Digest } from '../../ui/copy.tsx'
import { DetailPanel, useWide } from '../../ui/detail-panel.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { readReason } from '../../ui/reason.ts'
import { Time } from '../../ui/time.tsx'
import { frameFor, readableScale } from './graph-frame.ts'
import { RunActions } from './run-actions.tsx'
import { RunGraph } from './run-graph.tsx'
import { carriedBy } from './run-host.ts'
import { RunSteps } from './run-steps.tsx'
import { RunTimeline } from './run-timeline.tsx'
import { TaskDetail } from './task-detail.tsx'

const route = getRouteApi('/runs/$runId')
/** A larger run, or one whose cards would be too small here, opens as a list; the picture is one press away. */
const readableTasks = 60
const sideMargins = 32

export function RunPage() {
  const { runId } = route.useParams()
  const { data: run, error, refetch } = useQuery(runQuery(runId))
  if (run) return <Loaded run={run} />
  return (
    <>
      <PageHeader title="Run" />
      {error ? <Failure error={error} retry={() => void refetch()} /> : <Skeleton label="Loading the run" />}
    </>
  )
}

function Loaded({ run }: { run: RunDetail }) {
  const { task: selected, view } = route.useSearch()
  const navigate = route.useNavigate()
  const select = useCallback(
    (task: string | undefined) =>
      void navigate({ search: (kept) => ({ ...kept, task }), resetScroll: false }),
    [navigate],
  )
  const task = run.tasks.find(({ id }) => id === selected)
  const wide = useWide()
  const readable =
    run.tasks.length <= readableTasks &&
    (wide || frameFor(run.tasks, document.documentElement.clientWidth - sideMargins).scale >= readableScale)
  const shown = view ?? (readable ? 'graph' : 'steps')
  return (
    <>
      <PageHeader title={run.title} actions={<RunActions run={run} />}>
        <RunFacts run={run} />
        {run.reason ? <Reason run={run} reason={run.reason} onSelect={select} /> : null}
      </PageHeader>
      <Views shown={shown} />
      <div className="flex gap-5">
        <div className="min-w-0 flex-1">
          {shown === 'graph' ? (
            <Sheet className="overflow-hidden">
              <RunGraph tasks={run.tasks} selected={selected} onSelect={select} />
            </Sheet>
          ) : null}
          {shown === 'steps' ? <RunSteps tasks={run.tasks} selected={selected} onSelect={select} /> : null}
          {shown === 'time' ? <RunTimeline run={run} selected={selected} onSelect={select} /> : null}
        </div>
        {task ? (
          <DetailPanel title={task.title} onClose={() => select(undefined)}>
            <TaskDetail run={run} task={task} />
          </DetailPanel>
        ) : null}
      </div>
    </>
  )
}

/** Why it did not succeed, with the way to the task to blame: `<task>: <code>: <words>`. */
function Reason({
  run,
  reason,
  onSelect,
}: {
  run: RunDetail
  reason: string
  onSelect: (task: string) => void
}) {
  const [, id = '', rest = ''] = /^([\w.-]+): (.*)$/s.exec(reason) ?? []
  const task = run.tasks.find((one) => one.id === id)
  const { text, code } = readReason(task ? rest : reason)
  return (
    <p className="mt-3 max-w-[46rem] border-l-2 border-brass-mark pl-3 text-pretty break-words">
      {text}{' '}
      {task ? (
        <button
          type="button"
          onClick={() => onSelect(task.id)}
          className="text-muted underline decoration-edge underline-offset-3 hover:text-ink"
        >
          Task “{task.title}”
        </button>
      ) : null}
      {code ? <code className="ml-2 text-xs text-muted">{code}</code> : null}
    </p>
  )
}

function RunFacts({ run }: { run: RunDetail }) {
  const { data: status } = useQuery(statusQuery)
  return (
    <div className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-1.5 text-[0.8125rem] text-muted">
      <Badge look={lookOfRun(run.state, run.outcome)} />
      <span>
        {run.doneCount} of {run.taskCount} tasks done
      </span>
      <span>
        started by <Actor id={run.requestedBy} /> <Time at={run.createdAt} />
        {run.unattended ? ', unattended' : ''}
      </span>
      {run.finishedAt ? (
        <span>
          ended <Time at={run.finishedAt} />
        </span>
      ) : null}
      {run.host ? <span>{carriedBy(run, status?.hosts)}</span> : null}
      <span className="inline-flex items-center gap-1.5">
        plan <Digest value={run.planDigest} head={6} what="the digest of the plan" />
      </span>
    </div>
  )
}

const views = [
  ['graph', 'Graph'],
  ['steps', 'Steps'],
  ['time', 'Timeline'],
] as const

function Views({ shown }: { shown: (typeof views)[number][0] }) {
  const navigate = route.useNavigate()
  return (
    <fieldset className="mb-3 inline-flex gap-0.5 rounded-lg bg-sunken p-0.5">
      <legend className="sr-only">Show the run as</legend>
      {views.map(([view, text]) => (
        <button
          key={view}
          type="button"
          aria-pressed={view === shown}
          onClick={() =>
            void navigate({ search: (kept) => ({ ...kept, view }), replace: true, resetScroll: false })
          }
          className="h-7 rounded-md px-3 text-[0.8125rem] text-muted hover:text-ink aria-pressed:bg-surface aria-pressed:font-medium aria-pressed:text-ink aria-pressed:shadow-[0_0_0_1px_var(--line)]"
        >
          {text}
        </button>
      ))}
    </fieldset>
  )
}
