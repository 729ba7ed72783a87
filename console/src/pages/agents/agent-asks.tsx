import { type AskView, api, injectionText } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Ban, KeyRound } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { call } from '../../api/index.ts'
import { asksQuery } from '../../api/queries.ts'
import { askLook, Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { destinationText } from '../../ui/destination.ts'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
import { useReasonedChange } from './use-reasoned-change.ts'

const AnswerDialog = lazy(async () => ({ default: (await import('./answer-dialog.tsx')).AnswerDialog }))

/** Open questions of all agents; nothing when there are none. */
export function OpenAsks() {
  const { data, error, refetch } = useQuery(asksQuery(undefined))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data || data.length === 0) return null
  return (
    <section className="mb-6">
      <h2 className="mb-2 font-semibold">Secrets that agents ask for</h2>
      <Sheet>
        <ul className="divide-y divide-line">
          {data.map((ask) => (
            <Ask key={ask.id} ask={ask} named />
          ))}
        </ul>
      </Sheet>
    </section>
  )
}

/** What one agent has asked for, whatever became of it; nothing when it never did. */
export function AgentAsks({ agentId }: { agentId: string }) {
  const { data, error, refetch } = useQuery(asksQuery(agentId))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data || data.length === 0) return null
  return (
    <section className="border-t border-line pt-4">
      <h3 className="mb-2 font-medium">What it asks for</h3>
      <ul className="divide-y divide-line rounded-lg border border-line">
        {data.map((ask) => (
          <Ask key={ask.id} ask={ask} />
        ))}
      </ul>
    </section>
  )
}

function Ask({ ask, named = false }: { ask: AskView; named?: boolean }) {
  return (
    <li className="flex flex-col gap-1.5 px-3 py-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Badge look={askLook[ask.state]} />
        {ask.state === 'open' ? <Answers ask={ask} /> : null}
      </div>
      <p className="font-medium text-pretty">
        {named ? `${ask.agentName}: ` : ''}
        {ask.reason}
      </p>
      <p className="wrap-anywhere text-muted">
        <code>{ask.reference ?? `${ask.secretPath} · ${ask.field}`}</code>
      </p>
      <p className="text-[0.8125rem] break-words">
        <span className="text-muted">to send to </span>
        {ask.destinations.map(destinationText).join(', ')}
        <span className="text-muted">, {injectionText(ask.injection)}</span>
      </p>
      <p className="text-xs text-muted">
        {ask.state === 'open' ? (
          <>
            asked <Time at={ask.createdAt} /> · ends in <Countdown until={ask.expiresAt} />
          </>
        ) : (
          <>
            closed <Time at={ask.closedAt ?? ask.expiresAt} />
            {ask.closeReason ? `: ${ask.closeReason}` : ''}
          </>
        )}
      </p>
    </li>
  )
}

function Answers({ ask }: { ask: AskView }) {
  const [answering, setAnswering] = useState(false)
  const [denying, setDenying] = useState(false)
  const deny = useReasonedChange({
    work: (reason) => call(api.asks.deny, { askId: ask.id, reason }),
    done: `${ask.agentName} does not get ${ask.name}`,
    onDone: () => setDenying(false),
  })
  return (
    <div className="flex gap-2">
      <Button size="small" tone="danger" icon={Ban} onClick={() => setDenying(true)}>
        Deny…<span className="sr-only"> {ask.name}</span>
      </Button>
      <Button size="small" tone="solid" icon={KeyRound} onClick={() => setAnswering(true)}>
        Enter it…<span className="sr-only"> {ask.name}</span>
      </Button>
      {answering ? (
        <Suspense>
          <AnswerDialog ask={ask} onClose={() => setAnswering(false)} />
        </Suspense>
      ) : null}
      <ReasonDialog
        open={denying}
        onClose={() => setDenying(false)}
        title={`Deny ${ask.agentName} this secret?`}
        description="It reads your reason, and works without the secret."
        action="Deny"
        work={deny}
      />
    </div>
  )
}
