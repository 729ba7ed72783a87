import { api, type ChannelRoute, type ChannelView, eventNames } from '@keyward/contract'
import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Check, Input, TextArea } from '../../ui/field.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'

type Props = { channel: ChannelView; open: boolean; onClose: () => void }

/** Which events a channel is told of: any of its routes is enough. */
export function RoutesDialog({ channel, open, onClose }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={`What ${channel.name} is told`}
      description="Any of these is enough. How an approval ends is told wherever it was asked."
    >
      <Form channel={channel} onClose={onClose} />
    </Dialog>
  )
}

const risks = ['low', 'medium', 'high', 'critical'] as const
type Risk = (typeof risks)[number]
/** A route as it is written; `key` tells those apart that say the same. */
type Draft = { key: number; events: string; risks: readonly Risk[]; flows: string }

const wordsOf = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean)
const unknownIn = ({ events }: Draft): string | undefined =>
  wordsOf(events).find((name) => !eventNames.some((known) => known === name))

const draftOf = (route: ChannelRoute, key: number): Draft => ({
  key,
  events: route.events.join(', '),
  risks: route.risks,
  flows: route.flows.join(', '),
})

function Form({ channel: { id: channelId, name, routes }, onClose }: Omit<Props, 'open'>) {
  const [drafts, setDrafts] = useState(() => routes.map(draftOf))
  const save = useAnnouncedChange(
    {
      work: () =>
        call(api.channels.change, {
          channelId,
          routes: drafts.map((draft) => ({
            events: wordsOf(draft.events) as ChannelRoute['events'],
            risks: [...draft.risks],
            flows: wordsOf(draft.flows),
          })),
        }),
      done: `What ${name} is told is changed`,
      onDone: onClose,
    },
    ['channels'],
  )
  const set = (key: number, change: Partial<Draft>): void =>
    setDrafts(drafts.map((draft) => (draft.key === key ? { ...draft, ...change } : draft)))
  const add = (): void =>
    setDrafts([...drafts, { key: Date.now(), events: 'approval.requested', risks: [], flows: '' }])
  return (
    <DialogForm action="Change it" work={save} onClose={onClose} disabled={drafts.some(unknownIn)}>
      {drafts.length === 0 ? <p className="text-muted">It is told nothing.</p> : null}
      {drafts.map((draft, at) => (
        <Route
          key={draft.key}
          number={at + 1}
          draft={draft}
          set={(change) => set(draft.key, change)}
          onRemove={() => setDrafts(drafts.filter(({ key }) => key !== draft.key))}
        />
      ))}
      <Button icon={Plus} className="self-start" onClick={add}>
        Add a route
      </Button>
    </DialogForm>
  )
}

type RouteProps = {
  number: number
  draft: Draft
  set: (change: Partial<Draft>) => void
  onRemove: () => void
}

function Route({ number, draft, set, onRemove }: RouteProps) {
  const unknown = unknownIn(draft)
  const turn = (risk: Risk): void =>
    set({ risks: risks.filter((one) => (one === risk) !== draft.risks.includes(one)) })
  return (
    <fieldset className="flex min-w-0 flex-col gap-3 rounded-lg border border-line p-3">
      <legend className="px-1 text-[0.8125rem] font-medium">Route {number}</legend>
      <TextArea
        label="Events"
        rows={2}
        required
        spellCheck={false}
        hint="approval.requested, run.finished, vault.sealed, agent.quarantined, lease.misused …"
        value={draft.events}
        error={unknown ? `There is no event ${unknown}.` : undefined}
        onChange={({ target }) => set({ events: target.value })}
      />
      <div className="flex flex-wrap gap-x-4 gap-y-1">
        {risks.map((risk) => (
          <Check key={risk} checked={draft.risks.includes(risk)} onChange={() => turn(risk)}>
            {risk}
          </Check>
        ))}
        <span className="self-center text-xs text-muted">risk; none chosen: all</span>
      </div>
      <Input
        label="Flows"
        placeholder="all"
        spellCheck={false}
        value={draft.flows}
        onChange={({ target }) => set({ flows: target.value })}
      />
      <Button size="small" tone="danger" icon={Trash2} className="self-start" onClick={onRemove}>
        Remove route {number}
      </Button>
    </fieldset>
  )
}
