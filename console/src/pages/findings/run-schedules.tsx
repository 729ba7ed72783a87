import { api, type RunScheduleView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Pause, Play, RotateCw } from 'lucide-react'
import { runSchedulesQuery } from '../../api/finding-queries.ts'
import { call } from '../../api/index.ts'
import { Actor } from '../../ui/actor.tsx'
import { Button } from '../../ui/button.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { useTriage } from './use-triage.ts'

/** Flows that are started by the clock; they are made at the command line. */
export function RunSchedules() {
  const { data, error } = useQuery(runSchedulesQuery)
  if (error) return <Failure error={error} />
  if (!data || data.items.length === 0) return null
  return (
    <section aria-label="Scheduled flows" className="mt-8">
      <h2 className="mb-3 text-lg font-semibold">Scheduled flows</h2>
      <Sheet>
        <ul className="divide-y divide-line">
          {data.items.map((schedule) => (
            <Line key={schedule.id} schedule={schedule} />
          ))}
        </ul>
      </Sheet>
    </section>
  )
}

function Line({ schedule }: { schedule: RunScheduleView }) {
  const { id: scheduleId, title, paused, last, nextAt } = schedule
  const run = useTriage({ work: () => call(api.runSchedules.run, { scheduleId }), done: `${title} starts` })
  const pause = useTriage({
    work: () => call(api.runSchedules.change, { scheduleId, paused: !paused }),
    done: paused ? 'The schedule goes on' : 'The schedule is paused',
  })
  const error = run.error ?? pause.error
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <h3 className="min-w-0 font-medium break-words">{title}</h3>
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
        </div>
      </div>
      <p className="text-[0.8125rem] break-words text-muted">
        {schedule.flow} · {schedule.cron} ({schedule.timeZone}) · in the name of{' '}
        <Actor id={schedule.requestedBy} />
        {nextAt ? (
          <>
            {' · next '}
            <Time at={nextAt} />
          </>
        ) : null}
      </p>
      {last ? <Last last={last} /> : null}
      {error ? <Failure error={error} /> : null}
    </li>
  )
}

function Last({ last }: { last: NonNullable<RunScheduleView['last']> }) {
  return (
    <p className="text-[0.8125rem]">
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
    </p>
  )
}
