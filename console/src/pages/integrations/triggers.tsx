import { api, type HookView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { connectionsQuery, hooksQuery, triggersQuery } from '../../api/connection-queries.ts'
import { call } from '../../api/index.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { TriggerDialog } from './trigger-dialog.tsx'
import { TriggerLine } from './trigger-line.tsx'
import { useTriggerChange } from './use-trigger-change.ts'

/** What events of connected services start. */
export function Triggers() {
  const { data, error } = useQuery(triggersQuery)
  const hooks = useQuery(hooksQuery)
  const connections = useQuery(connectionsQuery).data?.items
  const [adding, setAdding] = useState(false)
  // What is wrong with the connections is told above.
  if (!connections) return null
  const failed = error ?? hooks.error
  if (failed) return <Failure error={failed} />
  if (!data || !hooks.data) return null
  const listened = hooks.data.items
  const isListened = (id: string): boolean => listened.some(({ connectionId }) => connectionId === id)
  // The only services that tell of events.
  const sources = connections
    .filter(({ connector }) => connector === 'github')
    .map(({ id, name }) => ({ id, name, isListened: isListened(id) }))
  if (sources.length + data.items.length + listened.length === 0) return null
  return (
    <section aria-label="Triggers" className="mt-8">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <h2 className="text-lg font-semibold">Started by events</h2>
        {sources.length > 0 ? (
          <Button icon={Plus} onClick={() => setAdding(true)}>
            Add a trigger
          </Button>
        ) : null}
      </div>
      <Sheet>
        <ul className="divide-y divide-line">
          {listened.map((hook) => (
            <HookLine key={hook.connectionId} hook={hook} />
          ))}
          {data.items.map((trigger) => (
            <TriggerLine key={trigger.id} trigger={trigger} isListened={isListened(trigger.connectionId)} />
          ))}
          {data.items.length === 0 ? (
            <li className="px-4 py-3.5 text-[0.8125rem] text-muted">
              Nothing is started by an event yet. A trigger starts a flow, or proposes a goal, when GitHub
              tells of a push, a pull request, an issue, a release or finished checks.
            </li>
          ) : null}
        </ul>
      </Sheet>
      <TriggerDialog open={adding} onClose={() => setAdding(false)} sources={sources} />
    </section>
  )
}

function HookLine({ hook: { connectionId, connection, received, last } }: { hook: HookView }) {
  const [asking, setAsking] = useState(false)
  const close = (): void => setAsking(false)
  const remove = useTriggerChange({
    work: () => call(api.hooks.remove, { connectionId }),
    done: `${connection} is listened to no more`,
    onDone: close,
  })
  return (
    <li className="flex items-center justify-between gap-4 px-4 py-3.5 text-[0.8125rem] text-muted">
      <p className="min-w-0 break-words">
        {connection} has told of {received.starts} events that started something, {received.wakes} that woke
        what waits, {received.unused} not used
        {last ? (
          <>
            {' · '}
            {last.event} <Time at={last.at} />
          </>
        ) : null}
      </p>
      <IconButton icon={Trash2} label={`Listen to ${connection} no more`} onClick={() => setAsking(true)} />
      <ConfirmDialog
        open={asking}
        onClose={close}
        title="Listen no more?"
        description={`The secret of the webhook of ${connection} ends: what GitHub sends is refused, and its triggers start nothing.`}
        action="Listen no more"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}
