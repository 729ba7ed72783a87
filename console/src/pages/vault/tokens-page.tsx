import { api, type TokenView } from '@keyward/contract'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Ban, Ticket } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { tokensQuery } from '../../api/vault-queries.ts'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Digest } from '../../ui/copy.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
import { usesText } from './durations.ts'
import { useChange } from './use-change.ts'
import { VaultFrame } from './vault-frame.tsx'

export function TokensPage() {
  const list = useInfiniteQuery(tokensQuery)
  const tokens = list.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <VaultFrame
      title="Tokens"
      lead="Who is signed in to Vault's API. A token is named by its accessor, which can neither use it nor be turned into it."
      reading={list}
    >
      {tokens.length === 0 ? (
        <Empty icon={Ticket} title="No token is valid">
          <p>Sign in with an auth method, or make a root token with the key shares.</p>
        </Empty>
      ) : (
        <Sheet>
          <ul className="divide-y divide-line">
            {tokens.map((token) => (
              <TokenLine key={token.accessor} token={token} />
            ))}
          </ul>
        </Sheet>
      )}
      <LoadMore more={list} />
    </VaultFrame>
  )
}

function TokenLine({ token }: { token: TokenView }) {
  const {
    accessor,
    displayName,
    policies,
    path,
    createdAt,
    expiresAt,
    lastRenewedAt,
    usesLeft,
    orphan,
    renewable,
  } = token
  return (
    <li className="flex flex-wrap items-center gap-x-5 gap-y-1.5 px-4 py-3">
      <Ticket size={17} className="shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-44 flex-1">
        <p className="font-medium break-all">{displayName || 'token'}</p>
        <p className="text-xs text-muted">
          from <code>{path}</code> <Time at={createdAt} />
          {orphan ? '' : ', child of another token'}
        </p>
      </div>
      <div className="min-w-32 flex-1">
        <ul className="flex flex-wrap gap-1">
          {policies.map((name) => (
            <li key={name}>
              <Link
                to="/vault/policies"
                search={{ policy: name }}
                className="rounded-md bg-calm-wash px-1.5 py-0.5 text-xs text-calm hover:underline"
              >
                {name}
              </Link>
            </li>
          ))}
        </ul>
      </div>
      <div className="text-[0.8125rem] sm:w-48">
        {expiresAt ? (
          <>
            <span className="text-muted">ends in </span>
            <Countdown until={expiresAt} />
          </>
        ) : (
          'without end'
        )}
        <span className="block text-xs text-muted">
          {lastRenewedAt ? (
            <>
              renewed <Time at={lastRenewedAt} />
            </>
          ) : renewable ? (
            'never renewed'
          ) : (
            'cannot be renewed'
          )}
          {usesLeft === null ? '' : `, ${usesText(usesLeft)}`}
        </span>
      </div>
      <Digest value={accessor} head={4} what={`the accessor of ${displayName}`} />
      <Revoke token={token} />
    </li>
  )
}

function Revoke({ token: { accessor, displayName } }: { token: TokenView }) {
  const [asking, setAsking] = useState(false)
  const revoke = useChange({
    work: () => call(api.tokens.revoke, { accessor }),
    done: 'The token is revoked',
    onDone: () => setAsking(false),
  })
  return (
    <>
      <Button size="small" tone="danger" icon={Ban} onClick={() => setAsking(true)}>
        Revoke…
        <span className="sr-only">
          {' '}
          {displayName} {accessor}
        </span>
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Revoke this token?"
        description="It stops working at once, and with it every token that was made by it and every credential that they were lent."
        action="Revoke"
        dismiss="Cancel"
        work={revoke}
      />
    </>
  )
}
