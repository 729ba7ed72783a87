import type { RunDetail, TaskView } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { ArrowRight, KeyRound } from 'lucide-react'
import { Badge, riskLook, taskLook } from '../../ui/badge.tsx'
import { buttonStyle } from '../../ui/button.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { type Fact, Facts } from '../../ui/page.tsx'
import { readReason } from '../../ui/reason.ts'
import { ExactTime } from '../../ui/time.tsx'
import { ResolveForm } from './resolve-form.tsx'
import { TaskLeases } from './task-leases.tsx'
import { TaskOutput } from './task-output.tsx'

export function TaskDetail({ run, task }: { run: RunDetail; task: TaskView }) {
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap gap-2">
        <Badge look={taskLook[task.state]} />
        <Badge look={riskLook[task.risk]} />
      </div>
      {task.reason ? <p className="text-pretty break-words">{readReason(task.reason).text}</p> : null}
      {task.state === 'Ambiguous' ? <ResolveForm key={task.id} runId={run.id} task={task} /> : null}
      {task.childRunId ? (
        <Link to="/runs/$runId" params={{ runId: task.childRunId }} className={`${buttonStyle()} self-start`}>
          To the run that this task is
          <ArrowRight size={15} aria-hidden="true" />
        </Link>
      ) : null}
      {task.approvalId ? (
        <Link
          to="/approvals/$approvalId"
          params={{ approvalId: task.approvalId }}
          className={`${buttonStyle(task.state === 'AwaitingApproval' ? 'solid' : 'plain')} self-start`}
        >
          {task.state === 'AwaitingApproval' ? 'Review and answer' : 'See the approval'}
          <ArrowRight size={15} aria-hidden="true" />
        </Link>
      ) : null}
      <Facts facts={factsOf(run, task)} />
      {task.secrets.length > 0 ? <Secrets paths={task.secrets} /> : null}
      <TaskOutput key={task.id} runId={run.id} task={task} />
      <TaskLeases run={run} taskId={task.id} />
      {task.output === null ? null : (
        <div>
          <h3 className="mb-1.5 text-xs text-muted">Outcome</h3>
          <JsonView value={task.output} label={`Outcome of ${task.title}`} />
        </div>
      )}
    </div>
  )
}

function factsOf(run: RunDetail, task: TaskView): Fact[] {
  const titles = task.needs.map((id) => run.tasks.find((other) => other.id === id)?.title ?? id)
  return [
    ['Action', <code key="action">{task.action}</code>],
    ['Reversible', task.reversible ? 'Yes' : 'No'],
    ['Comes after', titles.length > 0 ? titles.join(', ') : 'Nothing: it starts at once'],
    ...(task.attempt > 1 ? ([['Attempt', task.attempt]] satisfies Fact[]) : []),
    ...(task.startedAt
      ? ([['Started', <ExactTime key="started" at={task.startedAt} />]] satisfies Fact[])
      : []),
    ...(task.finishedAt
      ? ([['Ended', <ExactTime key="finished" at={task.finishedAt} />]] satisfies Fact[])
      : []),
  ]
}

function Secrets({ paths }: { paths: readonly string[] }) {
  return (
    <div>
      <h3 className="mb-1.5 text-xs text-muted">Secrets it uses</h3>
      <ul className="flex flex-col gap-1.5">
        {paths.map((path) => (
          <li key={path} className="flex items-start gap-2">
            <KeyRound size={14} className="mt-0.5 shrink-0 text-brass" aria-hidden="true" />
            <code className="break-all">{path}</code>
          </li>
        ))}
      </ul>
    </div>
  )
}
