import { api, injectionText, type LeaseView } from '@keyward/contract'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Ban } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { leasesQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Badge, leaseLook } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { destinationText } from '../../ui/destination.ts'
import { LoadMore } from '../../ui/load-more.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { ReceiptView } from '../../ui/receipt.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
import { LeaseParts } from './lease-parts.tsx'

export function AgentLeases({ agentId }: { agentId: string }) {
  const list = useInfiniteQuery(leasesQuery(agentId, undefined))
  const leases = list.data?.pages.flatMap(({ items }) => items) ?? []
  if (list.error) return <Failure error={list.error} retry={() => void list.refetch()} />
  if (list.isPending) return <Skeleton rows={2} label="Loading the leases" />
  if (leases.length === 0) return <p className="text-muted">It has borrowed nothing yet.</p>
  return (
    <>
      <ul className="divide-y divide-line rounded-lg border border-line">
        {leases.map((lease) => (
          <Lease key={lease.id} lease={lease} />
        ))}
      </ul>
      <LoadMore more={list} />
    </>
  )
}

function Lease({ lease }: { lease: LeaseView }) {
  return (
    <li className="flex flex-col gap-1.5 px-3 py-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Badge look={leaseLook[lease.state]} />
        {lease.state === 'active' ? <Revoke lease={lease} /> : null}
      </div>
      <p className="font-medium text-pretty">{lease.purpose}</p>
      <p className="wrap-anywhere text-muted">
        <code>
          {lease.secretPath} · {lease.field}
        </code>
      </p>
      <p className="text-[0.8125rem] break-words">
        <span className="text-muted">only to </span>
        {lease.destinations.map(destinationText).join(', ')}
        <span className="text-muted">, {injectionText(lease.injection)}</span>
      </p>
      <p className="text-xs text-muted">
        {lease.uses === 1 ? 'used once' : `used ${lease.uses} times`}
        {lease.usesLeft === null ? '' : `, ${lease.usesLeft} left`}
        {lease.usesPerMinute === null ? '' : `, ${lease.usesPerMinute} a minute`}
        {lease.bytesLeft === null ? '' : `, ${lease.bytesLeft.toLocaleString('en')} bytes left`}
        {' · '}
        {lease.state === 'active' ? (
          <>
            ends in <Countdown until={lease.expiresAt} />
          </>
        ) : (
          <>
            ended <Time at={lease.endedAt ?? lease.expiresAt} />
          </>
        )}
        {lease.endReason ? `: ${lease.endReason}` : ''}
      </p>
      <ReceiptView receipt={lease.receipt} />
      {lease.parentId ? (
        <p className="text-xs text-muted">
          Passed on to it: a part of <code>{lease.parentId}</code>
        </p>
      ) : null}
      {lease.delegable ? <LeaseParts lease={lease} /> : null}
    </li>
  )
}

function Revoke({ lease }: { lease: LeaseView }) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const revoke = useMutation({
    mutationFn: (reason: string) => call(api.leases.revoke, { leaseId: lease.id, reason }),
    onSuccess: () => {
      setAsking(false)
      announce('The lease is revoked')
      return client.invalidateQueries({
        predicate: ({ queryKey }) => ['leases', 'agents', 'status'].includes(String(queryKey[0])),
      })
    },
  })
  return (
    <>
      <Button size="small" tone="danger" icon={Ban} onClick={() => setAsking(true)}>
        Revoke…<span className="sr-only"> the lease of {lease.secretPath}</span>
      </Button>
      <ReasonDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Revoke this lease?"
        description={
          <>
            The placeholder for <code className="break-all text-ink">{lease.secretPath}</code> stops working
            at once.
          </>
        }
        action="Revoke"
        work={revoke}
      />
    </>
  )
}
