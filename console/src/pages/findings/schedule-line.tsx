import { api, type ScheduleView } from '@keyward/contract'
import {
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  KeyRound,
  LoaderCircle,
  Pause,
  Play,
  RotateCw,
  Trash2,
} from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { cronText } from '../../ui/clock.ts'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'
import { HookSecret } from './hook-secret.tsx'
import { useTriage } from './use-triage.ts'

const paused: Look = { hue: 'calm', icon: CirclePause, text: 'Paused' }
const looks: Record<'new' | 'running' | 'finished' | 'failed', Look> = {
  new: { hue: 'calm', icon: CircleDashed, text: 'Not yet scanned' },
  running: { hue: 'busy', icon: LoaderCircle, text: 'Scanning', moving: true },
  finished: { hue: 'ok', icon: CircleCheck, text: 'Scanned' },
  failed: { hue: 'bad', icon: CircleX, text: 'Last scan failed' },
}

export function ScheduleLine({ schedule }: { schedule: ScheduleView }) {
  const { id: scheduleId, path, last } = schedule
  const [asking, setAsking] = useState(false)
  const run = useTriage({ work: () => call(api.schedules.run, { scheduleId }), done: `${path} is scanned` })
  const pause = useTriage({
    work: () => call(api.schedules.change, { scheduleId, paused: !schedule.paused }),
    done: schedule.paused ? 'The schedule goes on' : 'The schedule is paused',
  })
  const remove = useTriage({
    work: () => call(api.schedules.remove, { scheduleId }),
    done: 'The schedule is removed',
    onDone: () => setAsking(false),
  })
  const look = schedule.paused ? paused : looks[last?.state ?? 'new']
  const error = run.error ?? pause.error
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <Badge look={look} />
            <h2 className="min-w-0 font-medium break-all">{path}</h2>
          </div>
          <When schedule={schedule} />
        </div>
        <div className="flex items-center gap-1.5">
          <Button
            size="small"
            icon={RotateCw}
            busy={run.isPending}
            disabled={schedule.paused || last?.state === 'running'}
            onClick={() => run.mutate()}
          >
            Scan now
          </Button>
          <Button
            size="small"
            icon={schedule.paused ? Play : Pause}
            busy={pause.isPending}
            onClick={() => pause.mutate()}
          >
            {schedule.paused ? 'Go on' : 'Pause'}
          </Button>
          <IconButton
            icon={Trash2}
            label={`Remove the schedule of ${path}`}
            onClick={() => setAsking(true)}
          />
        </div>
      </div>
      <Outcome schedule={schedule} />
      {error ? (
        <div className="mt-2">
          <Failure error={error} />
        </div>
      ) : null}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Remove the schedule?"
        description={`${path} is not scanned by itself any more, and its webhook is refused. Its findings stay.`}
        action="Remove it"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}

function When({
  schedule: { cron, timeZone, watch, push, history, propose, nextAt },
}: {
  schedule: ScheduleView
}) {
  const parts = [
    ...(cron === null ? [] : [`${cronText(cron)} (${timeZone})`]),
    ...(watch ? ['as files change'] : []),
    ...(push === null ? [] : [`after a push to ${push.repository}`]),
    { all: 'with the whole history', new: 'with new commits', none: 'without history' }[history],
    ...(propose ? [] : ['proposes nothing']),
  ]
  return (
    <p className="mt-1 text-[0.8125rem] break-words text-muted">
      {parts.join(' · ')}
      {nextAt ? (
        <>
          {' · next '}
          <Time at={nextAt} />
        </>
      ) : null}
    </p>
  )
}

function Outcome({ schedule }: { schedule: ScheduleView }) {
  const { last, runs, failures, watching, push } = schedule
  return (
    <div className="mt-1.5 flex flex-col gap-1 text-[0.8125rem]">
      {last ? (
        <p>
          <span className="text-muted">
            <Time at={last.finishedAt ?? last.startedAt} />:{' '}
          </span>
          {last.problem ? (
            <span className="wrap-anywhere text-bad">{last.problem}</span>
          ) : last.state === 'running' ? (
            'at work'
          ) : (
            `${last.opened} new, ${last.fixed} fixed`
          )}
          <span className="text-muted">
            {' '}
            · {runs} scans, {failures} failed
          </span>
        </p>
      ) : null}
      {watching?.state === 'failing' ? (
        <p className="wrap-anywhere text-bad">The folder cannot be watched: {watching.problem}</p>
      ) : null}
      {push ? (
        <p className="flex flex-wrap items-center gap-2">
          <KeyRound size={14} className="text-muted" aria-hidden="true" />
          <code className="break-all">{schedule.hook}</code>
          {schedule.hookReady ? null : (
            <span className="text-wait">has no secret yet, and refuses every push</span>
          )}
          <HookSecret schedule={schedule} />
        </p>
      ) : null}
    </div>
  )
}
