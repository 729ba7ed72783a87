import { api, type TriggerView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Pause, Play } from 'lucide-react'
import { hooksQuery, triggersQuery } from '../../api/connection-queries.ts'
import { call } from '../../api/index.ts'
import { Actor } from '../../ui/actor.tsx'
import { Button } from '../../ui/button.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'

/** What events of connected services start; triggers are made at the command line. */
export function Triggers() {
  const { data, error } = useQuery(triggersQuery)
  const hooks = useQuery(hooksQuery).data?.items ?? []
  if (error) return <Failure error={error} />
  if (!data || data.items.length + hooks.length === 0) return null
  return (
    <section aria-label="Triggers" className="mt-8">
      <h2 className="mb-3 text-lg font-semibold">Started by events</h2>
      <Sheet>
        <ul className="divide-y divide-line">
          {hooks.map(({ connectionId, connection, received, last }) => (
            <li key={connectionId} className="px-4 py-3.5 text-[0.8125rem] text-muted">
              {connection} has told of {received.starts} events that started something, {received.wakes} that
              woke what waits, {received.unused} not used
              {last ? (
                <>
                  {' · '}
                  {last.event} <Time at={last.at} />
                </>
              ) : null}
            </li>
          ))}
          {data.items.map((trigger) => (
            <Line key={trigger.id} trigger={trigger} />
          ))}
        </ul>
      </Sheet>
    </section>
  )
}

function Line({ trigger }: { trigger: TriggerView }) {
  const { id: triggerId, title, paused, last } = trigger
  const pause = useAnnouncedChange(
    {
      work: () => call(api.triggers.change, { triggerId, paused: !paused }),
      done: paused ? 'The trigger goes on' : 'The trigger is paused',
    },
    ['triggers'],
  )
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <h3 className="min-w-0 font-medium break-words">{title}</h3>
        <Button
          size="small"
          icon={paused ? Play : Pause}
          busy={pause.isPending}
          onClick={() => pause.mutate()}
        >
          {paused ? 'Go on' : 'Pause'}
        </Button>
      </div>
      <p className="text-[0.8125rem] break-words text-muted">
        {trigger.event} of {trigger.repository} · {trigger.goal ?? trigger.flow} · in the name of{' '}
        <Actor id={trigger.requestedBy} />
      </p>
      {last ? <Last last={last} /> : null}
      {pause.error ? <Failure error={pause.error} /> : null}
    </li>
  )
}

function Last({ last }: { last: NonNullable<TriggerView['last']> }) {
  return (
    <p className="text-[0.8125rem] wrap-anywhere">
      <Time at={last.at} />:{' '}
      {last.runId === null ? (
        <span className={last.state === 'refused' ? 'text-bad' : undefined}>
          {last.goalId === null ? last.state : 'proposed'}
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
