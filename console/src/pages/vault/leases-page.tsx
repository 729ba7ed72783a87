import { api, type CredentialView } from '@keyward/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { CircleCheck, CircleDashed, Hourglass, KeySquare, RotateCw, TriangleAlert } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { call } from '../../api/index.ts'
import { backlogQuery, credentialsQuery } from '../../api/vault-queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Command } from '../../ui/copy.tsx'
import { Input } from '../../ui/field.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
import { useChange } from './use-change.ts'
import { VaultFrame } from './vault-frame.tsx'

export function LeasesPage() {
  const [prefix, setPrefix] = useState('')
  const [failing, setFailing] = useState(false)
  const sought = useDeferredValue(prefix.trim())
  const list = useInfiniteQuery({ ...credentialsQuery(sought, failing), placeholderData: (before) => before })
  const items = list.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <VaultFrame
      title="Leases"
      lead="Credentials that engines made for a time: a user of a database, a certificate. When its time is over, what was made is removed, and that is tried until it works."
      reading={list}
    >
      <Backlog failing={failing} onFailing={setFailing} />
      <div className="mb-4 max-w-md">
        <Input
          label="Below the path"
          type="search"
          value={prefix}
          spellCheck={false}
          autoComplete="off"
          placeholder="database/creds/"
          onChange={({ target }) => setPrefix(target.value)}
        />
      </div>
      {items.length === 0 ? (
        <Nothing filtered={sought !== '' || failing} />
      ) : (
        <Sheet>
          <ul className="divide-y divide-line">
            {items.map((lease) => (
              <LeaseLine key={lease.id} lease={lease} />
            ))}
          </ul>
        </Sheet>
      )}
      <LoadMore more={list} />
    </VaultFrame>
  )
}

/** How many there are, and what should be gone and is not. */
function Backlog({ failing, onFailing }: { failing: boolean; onFailing: (failing: boolean) => void }) {
  const { data, error } = useQuery(backlogQuery)
  if (error) return <Failure error={error} />
  if (!data) return <span className="skeleton mb-4 block h-14" />
  if (data.count === 0)
    return (
      <p className="mb-4 flex min-h-14 items-center gap-2.5 rounded-xl border border-line bg-surface px-4">
        <CircleCheck size={17} className="text-ok" aria-hidden="true" />
        {data.total === 1 ? 'One lease' : `${data.total} leases`}; everything that should have ended has.
      </p>
    )
  return (
    <div className="mb-4 flex flex-wrap items-start gap-3 rounded-xl border border-wait/40 bg-wait-wash px-4 py-3.5">
      <TriangleAlert size={18} className="mt-0.5 shrink-0 text-wait" aria-hidden="true" />
      <div className="min-w-52 flex-1">
        <p className="font-semibold text-wait">
          {data.count === 1 ? 'One credential' : `${data.count} credentials`} should be gone and could not be
          removed yet
        </p>
        <p className="mt-0.5 text-pretty">
          {data.oldestAt ? (
            <>
              The oldest should have ended <Time at={data.oldestAt} />.{' '}
            </>
          ) : null}
          {data.nextTryAt ? (
            <>
              The next try is <Time at={data.nextTryAt} />.
            </>
          ) : null}
        </p>
        {data.error ? (
          <p className="mt-1 text-[0.8125rem] wrap-anywhere">Last failure: {data.error}</p>
        ) : null}
      </div>
      <Button size="small" aria-pressed={failing} onClick={() => onFailing(!failing)}>
        {failing ? 'Show all leases' : 'Show only these'}
      </Button>
    </div>
  )
}

const looks: Record<CredentialView['state'], Look> = {
  pending: { hue: 'busy', icon: CircleDashed, text: 'Being made' },
  live: { hue: 'ok', icon: CircleCheck, text: 'Live' },
  ending: { hue: 'wait', icon: Hourglass, text: 'Ending' },
}

function LeaseLine({ lease }: { lease: CredentialView }) {
  const folder = lease.id.slice(0, lease.id.lastIndexOf('/') + 1)
  return (
    <li className="flex flex-wrap items-center gap-x-5 gap-y-1.5 px-4 py-3">
      <div className="min-w-56 flex-1">
        <p className="wrap-anywhere">
          <code className="text-muted">{folder}</code>
          <code className="font-medium">{lease.id.slice(folder.length)}</code>
        </p>
        <p className="mt-0.5 text-xs text-muted">
          issued <Time at={lease.issuedAt} />
          {lease.lastRenewedAt ? (
            <>
              , renewed <Time at={lease.lastRenewedAt} />
            </>
          ) : null}
        </p>
        {lease.error ? (
          <p className="mt-1 text-[0.8125rem] wrap-anywhere">
            <span className="font-medium text-bad">
              {lease.attempts === 1 ? 'Failed once' : `Failed ${lease.attempts} times`}
            </span>
            : {lease.error}
            {lease.nextTryAt ? (
              <span className="text-muted">
                {' '}
                · next try <Time at={lease.nextTryAt} />
              </span>
            ) : null}
          </p>
        ) : null}
      </div>
      <span className="text-[0.8125rem] sm:w-40">
        {lease.state === 'live' ? (
          <>
            <span className="text-muted">ends in </span>
            <Countdown until={lease.expiresAt} />
          </>
        ) : null}
      </span>
      <span className="sm:w-24">
        <Badge look={looks[lease.state]} bare />
      </span>
      <LeaseActions lease={lease} />
    </li>
  )
}

function LeaseActions({ lease }: { lease: CredentialView }) {
  const [asking, setAsking] = useState(false)
  const renew = useChange({
    work: () => call(api.credentials.renew, { leaseId: lease.id }),
    done: 'The lease is renewed',
  })
  const revoke = useChange({
    work: () => call(api.credentials.revoke, { leaseId: lease.id }),
    done: 'The lease is revoked',
    onDone: () => setAsking(false),
  })
  return (
    <span className="flex flex-wrap gap-1.5 sm:w-44 sm:justify-end">
      {lease.renewable && lease.state === 'live' ? (
        <Button
          size="small"
          tone="quiet"
          icon={RotateCw}
          busy={renew.isPending}
          onClick={() => renew.mutate()}
        >
          Renew<span className="sr-only"> {lease.id}</span>
        </Button>
      ) : null}
      <Button size="small" tone="danger" onClick={() => setAsking(true)}>
        {lease.state === 'ending' ? 'Try now…' : 'Revoke…'}
        <span className="sr-only"> {lease.id}</span>
      </Button>
      {renew.error ? <Failure error={renew.error} /> : null}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={lease.state === 'ending' ? 'Try to end it now?' : 'Revoke this lease?'}
        description={
          <>
            What was made for <code className="break-all text-ink">{lease.id}</code> is removed; whoever uses
            it is shut out.
          </>
        }
        action={lease.state === 'ending' ? 'Try now' : 'Revoke'}
        dismiss="Cancel"
        work={revoke}
      />
    </span>
  )
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered)
    return (
      <Empty icon={KeySquare} title="No lease fits">
        <p>Nothing is lent below this path.</p>
      </Empty>
    )
  return (
    <Empty icon={KeySquare} title="Nothing is lent">
      <p>An engine that makes credentials lends each for a time:</p>
      <Command text="bao read database/creds/shop" />
    </Empty>
  )
}
