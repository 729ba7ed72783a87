import { api, type ChannelView } from '@keyward/contract'
import {
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  Pause,
  Pencil,
  Play,
  RotateCw,
  Send,
  Stethoscope,
  Trash2,
} from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'
import { kindNames } from './channel-kinds.ts'
import { RoutesDialog } from './routes-dialog.tsx'

const paused: Look = { hue: 'calm', icon: CirclePause, text: 'Paused' }
const looks: Record<ChannelView['health']['state'], Look> = {
  unknown: { hue: 'calm', icon: CircleDashed, text: 'Not checked' },
  up: { hue: 'ok', icon: CircleCheck, text: 'Answers' },
  down: { hue: 'bad', icon: CircleX, text: 'Does not answer' },
}
export function ChannelLine({ channel }: { channel: ChannelView }) {
  const { id: channelId, name, dead, health } = channel
  const change = <R,>(work: () => Promise<R>, done: string) => ({ work, done })
  const shown = ['channels', 'status']
  const test = useAnnouncedChange(
    change(() => call(api.channels.test, { channelId }), `${name} was sent a test`),
    shown,
  )
  const check = useAnnouncedChange(
    change(() => call(api.channels.check, { channelId }), `${name} was checked`),
    shown,
  )
  const retry = useAnnouncedChange(
    change(() => call(api.channels.retry, { channelId }), `What was given up for ${name} is tried again`),
    shown,
  )
  const pause = useAnnouncedChange(
    change(
      () => call(api.channels.change, { channelId, paused: !channel.paused }),
      channel.paused ? `${name} goes on` : `${name} is paused`,
    ),
    shown,
  )
  const [asking, setAsking] = useState(false)
  const [routing, setRouting] = useState(false)
  const remove = useAnnouncedChange(
    {
      work: () => call(api.channels.remove, { channelId }),
      done: `${name} is removed`,
      onDone: () => setAsking(false),
    },
    shown,
  )
  const error = test.error ?? check.error ?? retry.error ?? pause.error
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <Badge look={channel.paused ? paused : looks[health.state]} />
            <h2 className="min-w-0 font-medium break-all">{name}</h2>
            <span className="text-muted">{kindNames[channel.kind]}</span>
          </div>
          <p className="mt-1 text-[0.8125rem] break-words text-muted">{told(channel)}</p>
        </div>
        <div className="flex flex-wrap items-center gap-1.5">
          <Button size="small" icon={Send} busy={test.isPending} onClick={() => test.mutate()}>
            Send a test
          </Button>
          <Button size="small" icon={Stethoscope} busy={check.isPending} onClick={() => check.mutate()}>
            Check
          </Button>
          <Button
            size="small"
            icon={channel.paused ? Play : Pause}
            busy={pause.isPending}
            onClick={() => pause.mutate()}
          >
            {channel.paused ? 'Go on' : 'Pause'}
          </Button>
          <IconButton icon={Pencil} label={`What ${name} is told`} onClick={() => setRouting(true)} />
          <IconButton icon={Trash2} label={`Remove ${name}`} onClick={() => setAsking(true)} />
        </div>
      </div>
      <Outcome channel={channel} />
      {dead > 0 ? (
        <p className="mt-2 flex flex-wrap items-center gap-3 text-[0.8125rem] text-bad">
          {dead === 1 ? 'One message was' : `${dead} messages were`} given up.
          <Button size="small" icon={RotateCw} busy={retry.isPending} onClick={() => retry.mutate()}>
            Try again
          </Button>
        </p>
      ) : null}
      {error ? (
        <div className="mt-2">
          <Failure error={error} />
        </div>
      ) : null}
      <RoutesDialog channel={channel} open={routing} onClose={() => setRouting(false)} />
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Remove the channel?"
        description={`Nobody is told by ${name} any more, and what waits for it is forgotten. Its secret stays in the vault.`}
        action="Remove it"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}

function told({ routes, answers }: ChannelView): string {
  const parts = routes.map(({ events, risks, flows }) => {
    const of = risks.length === 0 ? '' : ` of ${risks.join(' and ')} risk`
    return `${events.join(', ')}${of}${flows.length === 0 ? '' : ` in ${flows.join(', ')}`}`
  })
  return [
    ...(parts.length === 0 ? ['told nothing'] : parts),
    ...(answers ? ['people answer what is of low risk'] : []),
  ].join(' · ')
}

function Outcome({ channel: { health, sent, waiting, lastSentAt } }: { channel: ChannelView }) {
  return (
    <p className="mt-1.5 text-[0.8125rem]">
      <span className="text-muted">
        {sent} sent, {waiting} waiting
        {lastSentAt ? (
          <>
            {' · last '}
            <Time at={lastSentAt} />
          </>
        ) : null}
        {health.latencyMs === null ? '' : ` · ${Math.round(health.latencyMs)} ms`}
      </span>
      {health.detail ? <span className="block wrap-anywhere text-bad">{health.detail}</span> : null}
    </p>
  )
}
