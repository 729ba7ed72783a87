import { type AppRoleView, api, type SecretIdView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { PenLine, Send, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { appRoleQuery } from '../../api/vault-queries.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Digest } from '../../ui/copy.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { Facts } from '../../ui/page.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
import { AppRoleDialog } from './approle-dialog.tsx'
import { ConfirmPath } from './confirm-path.tsx'
import { secondsText, usesText } from './durations.ts'
import { IssueDialog } from './issue-dialog.tsx'
import { useChange } from './use-change.ts'

type Props = { mount: string; roleName: string; onGone: () => void }

export function AppRoleDetail({ mount, roleName, onGone }: Props) {
  const { data, error, refetch } = useQuery(appRoleQuery(mount, roleName))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return <Skeleton rows={4} label="Loading the role" />
  return (
    <div className="flex flex-col gap-6">
      <Terms role={data.role} />
      <SecretIds role={data.role} secretIds={data.secretIds} />
      <Remove role={data.role} onGone={onGone} />
    </div>
  )
}

const timesText = (uses: number): string => (uses === 1 ? 'used once' : `used ${uses} times`)
const span = (seconds: number): string => (seconds === 0 ? 'as the mount says' : secondsText(seconds))

function Terms({ role }: { role: AppRoleView }) {
  const [changing, setChanging] = useState(false)
  return (
    <section>
      <Facts
        facts={[
          ['Role id', <Digest key="id" value={role.roleId} head={8} what="the role id" />],
          ['Policies', role.policies.join(', ') || 'only default'],
          ['A token lives', `${span(role.tokenTtlSeconds)}, at most ${span(role.tokenMaxTtlSeconds)}`],
          [
            'A secret id lives',
            `${role.secretIdTtlSeconds === 0 ? 'without end' : secondsText(role.secretIdTtlSeconds)}, ${role.secretIdUses === 0 ? 'used as often as one likes' : timesText(role.secretIdUses)}`,
          ],
          ['Used from', role.boundCidrs.join(', ') || 'anywhere'],
        ]}
      />
      <Button size="small" icon={PenLine} className="mt-4" onClick={() => setChanging(true)}>
        Change…
      </Button>
      <AppRoleDialog open={changing} mounts={[role.mount]} role={role} onClose={() => setChanging(false)} />
    </section>
  )
}

function SecretIds({ role, secretIds }: { role: AppRoleView; secretIds: readonly SecretIdView[] }) {
  const [issuing, setIssuing] = useState(false)
  return (
    <section>
      <div className="mb-2 flex items-center justify-between gap-3">
        <h3 className="font-medium">Secret ids</h3>
        <Button size="small" icon={Send} onClick={() => setIssuing(true)}>
          Issue…
        </Button>
      </div>
      {secretIds.length === 0 ? (
        <p className="text-muted">None: nobody can sign in with this role.</p>
      ) : (
        <ul className="divide-y divide-line rounded-lg border border-line">
          {secretIds.map((secretId) => (
            <SecretIdLine key={secretId.accessor} role={role} secretId={secretId} />
          ))}
        </ul>
      )}
      <IssueDialog open={issuing} role={role} onClose={() => setIssuing(false)} />
    </section>
  )
}

function SecretIdLine({ role, secretId }: { role: AppRoleView; secretId: SecretIdView }) {
  const { accessor, createdAt, expiresAt, usesLeft } = secretId
  const revoke = useChange({
    work: () => call(api.appRoles.revoke, { mount: role.mount, roleName: role.name, accessor }),
    done: 'The secret id is destroyed',
  })
  return (
    <li className="flex items-center gap-3 px-3 py-2">
      <div className="min-w-0 flex-1">
        <Digest value={accessor} head={6} what="the accessor" />
        <p className="text-xs text-muted">
          made <Time at={createdAt} />
          {expiresAt ? (
            <>
              , ends in <Countdown until={expiresAt} />
            </>
          ) : (
            ', without end'
          )}
          {usesLeft === null ? '' : `, ${usesText(usesLeft)}`}
        </p>
        {revoke.error ? <Failure error={revoke.error} /> : null}
      </div>
      <IconButton icon={Trash2} label={`Destroy the secret id ${accessor}`} onClick={() => revoke.mutate()} />
    </li>
  )
}

function Remove({ role, onGone }: { role: AppRoleView; onGone: () => void }) {
  const [asking, setAsking] = useState(false)
  const remove = useChange({
    work: () => call(api.appRoles.delete, { mount: role.mount, roleName: role.name }),
    done: `${role.name} is removed`,
    onDone: onGone,
  })
  return (
    <div className="border-t border-line pt-4">
      <Button size="small" tone="danger" icon={Trash2} onClick={() => setAsking(true)}>
        Remove the role…
      </Button>
      <ConfirmPath
        open={asking}
        onClose={() => setAsking(false)}
        title={`Remove ${role.name}?`}
        what={role.name}
        action="Remove"
        work={remove}
      >
        Its secret ids go with it, and nobody signs in with it any more. Tokens that it gave out live on until
        their end.
      </ConfirmPath>
    </div>
  )
}
