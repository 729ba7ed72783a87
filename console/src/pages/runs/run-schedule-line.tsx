import { api, type RunScheduleView } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { CirclePause, Pause, Pencil, Play, RotateCw, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Actor } from '../../ui/actor.tsx'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { cronText } from '../../ui/clock.ts'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'
import { RunScheduleDialog } from './run-schedule-dialog.tsx'
import { useScheduleChange } from './use-schedule-change.ts'

const pausedLook: Look = { hue: 'calm', icon: CirclePause, text: 'Paused' }

export function RunScheduleLine({ schedule }: { schedule: RunScheduleView }) {
  const { id: scheduleId, title, paused, last, nextAt, heldBy } = schedule
  const run = useScheduleChange({
    work: () => call(api.runSchedules.run, { scheduleId }),
    done: `${title} starts`,
  })
  const pause = useScheduleChange({
    work: () => call(api.runSchedules.change, { scheduleId, paused: !paused }),
    done: paused ? 'The schedule goes on' : 'The schedule is paused',
  })
  const remove = useScheduleChange({
    work: () => call(api.runSchedules.remove, { scheduleId }),
    done: 'The schedule is removed',
    onDone: () => setOpen(undefined),
  })
  const [open, setOpen] = useState<'change' | 'remove'>()
  const close = (): void => setOpen(undefined)
  const error = run.error ?? pause.error
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-72">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            {paused ? <Badge look={pausedLook} /> : null}
            <h2 className="min-w-0 font-medium break-words">{title}</h2>
          </div>
          <p className="text-[0.8125rem] break-words text-muted">
            {schedule.flow} · {cronText(schedule.cron)} ({schedule.timeZone}) · in the name of{' '}
            <Actor id={schedule.requestedBy} />
            {nextAt ? (
              <>
                {' · next '}
                <Time at={nextAt} />
              </>
            ) : null}
          </p>
        </div>
        <div className="flex items-center gap-1.5">
          <Button
            size="small"
            icon={RotateCw}
            busy={run.isPending}
            disabled={paused}
            onClick={() => run.mutate()}
          >
            Start now
          </Button>
          <Button
            size="small"
            icon={paused ? Play : Pause}
            busy={pause.isPending}
            onClick={() => pause.mutate()}
          >
            {paused ? 'Go on' : 'Pause'}
          </Button>
          <IconButton icon={Pencil} label={`Change ${title}`} onClick={() => setOpen('change')} />
          <IconButton icon={Trash2} label={`Remove ${title}`} onClick={() => setOpen('remove')} />
        </div>
      </div>
      <p className="mt-1.5 text-[0.8125rem]">
        {last ? <Last last={last} /> : null}
        <span className="text-muted">
          {last ? ' · ' : ''}
          {schedule.started} started, {schedule.refused} refused, {schedule.skipped ?? 0} skipped,{' '}
          {schedule.missedSpans ?? 0} missed
        </span>
      </p>
      {heldBy ? (
        <p className="text-[0.8125rem] text-wait">
          Nothing starts until{' '}
          <Link to="/runs/$runId" params={{ runId: heldBy.runId }} className="underline">
            its run
          </Link>{' '}
          has ended, which waits for a person.
        </p>
      ) : null}
      {error ? <Failure error={error} /> : null}
      <RunScheduleDialog open={open === 'change'} onClose={close} schedule={schedule} />
      <ConfirmDialog
        open={open === 'remove'}
        onClose={close}
        title="Remove the schedule?"
        description={`${title} is started by the clock no more. Its runs stay.`}
        action="Remove it"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}

function Last({ last }: { last: NonNullable<RunScheduleView['last']> }) {
  return (
    <>
      <Time at={last.dueAt} />:{' '}
      {last.runId === null ? (
        <span className={last.state === 'refused' ? 'wrap-anywhere text-bad' : 'wrap-anywhere'}>
          {last.state}
          {last.reason ? `, ${last.reason}` : ''}
        </span>
      ) : (
        <Link to="/runs/$runId" params={{ runId: last.runId }} className="underline">
          {last.runState ?? last.state}
        </Link>
      )}
    </>
  )
}
