import { api, type Evidence, type Phase, type RolloutView } from '@keyward/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ArrowDown, ArrowUp, Eye, EyeOff } from 'lucide-react'
import { useState } from 'react'
import { rolloutQuery } from '../../api/agent-queries.ts'
import { call } from '../../api/index.ts'
import { Actor } from '../../ui/actor.tsx'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { Time } from '../../ui/time.tsx'

const phases: readonly (readonly [phase: Phase, name: string, about: string])[] = [
  ['read-only', 'Read-only', 'It looks and changes nothing'],
  ['non-critical', 'Non-critical', 'It changes what can be undone'],
  ['production', 'Production', 'It may ask for everything that policy allows'],
]
const placeOf = (phase: Phase): number => phases.findIndex(([name]) => name === phase)
const nameOf = (phase: Phase): string => phases[placeOf(phase)]?.[1].toLowerCase() ?? phase

/** How far the agent is let when it asks for runs, on what evidence, and the way to more or to less. */
export function AgentRollout({ agentId }: { agentId: string }) {
  const { data: rollout, error, refetch } = useQuery(rolloutQuery(agentId))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!rollout) return <Skeleton rows={2} label="Loading the rollout phase" />
  return (
    <div className="flex flex-col gap-4">
      <Track phase={rollout.phase} />
      <p className="text-[0.8125rem] text-pretty text-muted">
        Since <Time at={rollout.since} /> by <Actor id={rollout.by} />: {rollout.reason}
      </p>
      {rollout.observed ? (
        <p className="flex items-start gap-2.5 rounded-lg bg-wait-wash px-3.5 py-3 text-[0.8125rem]">
          <Eye size={16} className="mt-0.5 shrink-0 text-wait" aria-hidden="true" />
          It is only observed: what it asks for is judged and shown, and nothing of it is executed.
        </p>
      ) : null}
      <Seen evidence={rollout.evidence} />
      {rollout.next && rollout.hindrance ? (
        <p className="border-l-2 border-brass-mark pl-3 text-[0.8125rem] text-pretty">
          Not yet ready for {nameOf(rollout.next)}: {rollout.hindrance}
        </p>
      ) : null}
      <Changes rollout={rollout} />
    </div>
  )
}

function Track({ phase }: { phase: Phase }) {
  const at = placeOf(phase)
  return (
    <ol className="grid grid-cols-3 gap-1.5" aria-label="Rollout phases">
      {phases.map(([name, text, about], place) => (
        <li key={name} aria-current={name === phase ? 'step' : undefined} title={about}>
          <span className={`block h-1.5 rounded-full ${place <= at ? 'bg-brass-mark' : 'bg-calm-wash'}`} />
          <span className={`mt-1.5 block text-xs ${name === phase ? 'font-medium' : 'text-muted'}`}>
            {text}
          </span>
        </li>
      ))}
    </ol>
  )
}

function Seen({ evidence }: { evidence: Evidence }) {
  const figures: [name: string, count: number, bad: boolean][] = [
    ['succeeded', evidence.succeeded, false],
    ['failed', evidence.failed, true],
    ['denied', evidence.denials, true],
    ['violations', evidence.violations, true],
    ...(evidence.observed > 0 ? [['observed', evidence.observed, false] as [string, number, boolean]] : []),
  ]
  return (
    <div>
      <h4 className="mb-1.5 text-xs text-muted">Its runs of the last {evidence.days} days</h4>
      <dl className="flex flex-wrap gap-x-5 gap-y-2">
        {figures.map(([name, count, bad]) => (
          <div key={name} className="flex flex-col-reverse">
            <dt className="text-xs text-muted">{name}</dt>
            <dd className={`text-lg font-semibold tabular-nums ${bad && count > 0 ? 'text-bad' : ''}`}>
              {count}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

type Change = { kind: 'phase'; phase: Phase } | { kind: 'observe'; observed: boolean }

function Changes({ rollout }: { rollout: RolloutView }) {
  const client = useQueryClient()
  const [asked, setAsked] = useState<Change>()
  const { agentId } = rollout
  const change = useMutation({
    mutationFn: ({ change: wanted, reason }: { change: Change; reason: string }) =>
      wanted.kind === 'phase'
        ? call(api.rollout.setPhase, { agentId, phase: wanted.phase, reason })
        : call(api.rollout.observe, { agentId, observed: wanted.observed, reason }),
    onSuccess: (view) => {
      client.setQueryData(rolloutQuery(agentId).queryKey, view)
      setAsked(undefined)
      announce(`${view.agentName} is ${nameOf(view.phase)}${view.observed ? ', and only observed' : ''}`)
    },
  })
  const open = (wanted: Change): void => {
    change.reset()
    setAsked(wanted)
  }
  const lower = phases[placeOf(rollout.phase) - 1]?.[0]
  return (
    <div className="flex flex-wrap gap-2">
      {rollout.next ? (
        <Button
          size="small"
          icon={ArrowUp}
          disabled={rollout.hindrance !== null}
          onClick={() => rollout.next && open({ kind: 'phase', phase: rollout.next })}
        >
          Promote…
        </Button>
      ) : null}
      {lower ? (
        <Button size="small" icon={ArrowDown} onClick={() => open({ kind: 'phase', phase: lower })}>
          Demote…
        </Button>
      ) : null}
      <Button
        size="small"
        icon={rollout.observed ? EyeOff : Eye}
        onClick={() => open({ kind: 'observe', observed: !rollout.observed })}
      >
        {rollout.observed ? 'Let it act…' : 'Only observe…'}
      </Button>
      {asked ? (
        <ReasonDialog
          key={JSON.stringify(asked)}
          open
          onClose={() => setAsked(undefined)}
          {...wordsOf(asked, rollout)}
          work={{
            mutate: (reason) => change.mutate({ change: asked, reason }),
            isPending: change.isPending,
            error: change.error,
          }}
        />
      ) : null}
    </div>
  )
}

function wordsOf(change: Change, { agentName, phase }: RolloutView) {
  if (change.kind === 'observe')
    return change.observed
      ? {
          title: `Only observe ${agentName}?`,
          description: 'What it asks for is judged and shown from now on, and nothing of it is executed.',
          action: 'Only observe',
        }
      : {
          title: `Let ${agentName} act?`,
          description: `What it asks for is executed again, as far as the phase ${nameOf(phase)} goes.`,
          action: 'Let it act',
        }
  const up = placeOf(change.phase) > placeOf(phase)
  return {
    title: `${up ? 'Promote' : 'Demote'} ${agentName} to ${nameOf(change.phase)}?`,
    description: `${phases[placeOf(change.phase)]?.[2] ?? ''}. Policies and approvals hold as before.`,
    action: up ? 'Promote' : 'Demote',
  }
}
