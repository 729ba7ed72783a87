import { api, type TriggerView } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { CirclePause, Pause, Pencil, Play, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Actor } from '../../ui/actor.tsx'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'
import { TriggerDialog } from './trigger-dialog.tsx'
import { useTriggerChange } from './use-trigger-change.ts'

const pausedLook: Look = { hue: 'calm', icon: CirclePause, text: 'Paused' }

export function TriggerLine({ trigger, isListened }: { trigger: TriggerView; isListened: boolean }) {
  const { id: triggerId, title, paused, last, connection } = trigger
  const [open, setOpen] = useState<'change' | 'remove'>()
  const close = (): void => setOpen(undefined)
  const pause = useTriggerChange({
    work: () => call(api.triggers.change, { triggerId, paused: !paused }),
    done: paused ? 'The trigger goes on' : 'The trigger is paused',
  })
  const remove = useTriggerChange({
    work: () => call(api.triggers.remove, { triggerId }),
    done: 'The trigger is removed',
    onDone: close,
  })
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-72">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            {paused ? <Badge look={pausedLook} /> : null}
            <h3 className="min-w-0 font-medium break-words">{title}</h3>
          </div>
          <p className="text-[0.8125rem] break-words text-muted">
            {wordsOf(trigger)} · {trigger.goal ?? trigger.flow} · in the name of{' '}
            <Actor id={trigger.requestedBy} />
          </p>
        </div>
        <div className="flex items-center gap-1.5">
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
      {isListened ? null : (
        <p className="text-[0.8125rem] text-wait">
          {connection === null
            ? 'Nothing comes: its connection is forgotten.'
            : `Nothing comes: ${connection} is not listened to.`}
        </p>
      )}
      {last ? <Last last={last} /> : null}
      {pause.error ? <Failure error={pause.error} /> : null}
      <TriggerDialog open={open === 'change'} onClose={close} trigger={trigger} />
      <ConfirmDialog
        open={open === 'remove'}
        onClose={close}
        title="Remove the trigger?"
        description={`${title} is started by events no more. What it started stays.`}
        action="Remove it"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}

/** What it waits for: `pull_request (labeled) of team/shop, main, labelled deploy`. */
function wordsOf({ event, actions, repository, branches, labels, forks }: TriggerView): string {
  const only = actions.length > 0 ? ` (${actions.join(', ')})` : ''
  return [
    `${event}${only} of ${repository}`,
    ...branches,
    ...(labels.length > 0 ? [`labelled ${labels.join(' or ')}`] : []),
    ...(forks ? ['forks, too'] : []),
  ].join(', ')
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
