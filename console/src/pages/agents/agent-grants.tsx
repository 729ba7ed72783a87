import { api, type GrantView, injectionText } from '@keyward/contract'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Ban } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { grantsQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Badge, grantLook } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { destinationText } from '../../ui/destination.ts'
import { LoadMore } from '../../ui/load-more.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { Countdown } from '../../ui/time.tsx'

/** What the agent may borrow. */
export function AgentGrants({ agentId }: { agentId: string }) {
  const list = useInfiniteQuery(grantsQuery(agentId))
  const grants = list.data?.pages.flatMap(({ items }) => items) ?? []
  if (list.error) return <Failure error={list.error} retry={() => void list.refetch()} />
  if (list.isPending) return <Skeleton rows={2} label="Loading the grants" />
  if (grants.length === 0) return <p className="text-muted">Nothing was granted to it.</p>
  return (
    <>
      <ul className="divide-y divide-line rounded-lg border border-line">
        {grants.map((grant) => (
          <Grant key={grant.id} grant={grant} />
        ))}
      </ul>
      <LoadMore more={list} />
    </>
  )
}

function Grant({ grant }: { grant: GrantView }) {
  return (
    <li className="flex flex-col gap-1.5 px-3 py-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Badge look={grantLook[grant.state]} />
        {grant.state === 'live' ? <End grant={grant} /> : null}
      </div>
      <p className="font-medium text-pretty">{grant.reason}</p>
      <p className="wrap-anywhere text-muted">
        <code>
          {grant.secretPath} · {grant.field ?? 'any field'}
        </code>
      </p>
      <p className="text-[0.8125rem] break-words">
        <span className="text-muted">only to </span>
        {grant.destinations.map(destinationText).join(', ')}
        <span className="text-muted">, {injectionText(grant.injection)}</span>
      </p>
      <p className="text-xs text-muted">
        {limitsOf(grant).join(', ')}
        {grant.state === 'live' && grant.expiresAt ? (
          <>
            {' · ends in '}
            <Countdown until={grant.expiresAt} />
          </>
        ) : null}
        {grant.endReason ? ` · ended: ${grant.endReason}` : ''}
      </p>
    </li>
  )
}

function limitsOf({ budget, maxTtlSeconds, leasesLeft, taskId }: GrantView): string[] {
  const { uses, usesPerMinute, bytes } = budget
  return [
    ...(taskId === null ? [] : [`for the task ${taskId} alone`]),
    `leases of ${maxTtlSeconds} s at most`,
    ...(leasesLeft === null ? [] : [`${leasesLeft} of them left`]),
    ...(uses === undefined ? [] : [`${uses} uses each`]),
    ...(usesPerMinute === undefined ? [] : [`${usesPerMinute} a minute`]),
    ...(bytes === undefined ? [] : [`${bytes.toLocaleString('en')} bytes`]),
  ]
}

function End({ grant }: { grant: GrantView }) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const end = useMutation({
    mutationFn: (reason: string) => call(api.grants.end, { grantId: grant.id, reason }),
    onSuccess: () => {
      setAsking(false)
      announce('The grant has ended')
      return client.invalidateQueries({ queryKey: ['grants'] })
    },
  })
  return (
    <>
      <Button size="small" tone="danger" icon={Ban} onClick={() => setAsking(true)}>
        End…<span className="sr-only"> the grant on {grant.secretPath}</span>
      </Button>
      <ReasonDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="End this grant?"
        description={
          <>
            No more leases of <code className="break-all text-ink">{grant.secretPath}</code> come of it. Those
            that are out go on until they are revoked or over.
          </>
        }
        action="End it"
        work={end}
      />
    </>
  )
}
