import { api } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { aclPoliciesQuery, aclPolicyQuery } from '../../api/vault-queries.ts'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { PolicyEditor } from './policy-editor.tsx'
import { useChange } from './use-change.ts'
import { VaultFrame } from './vault-frame.tsx'

const route = getRouteApi('/vault/policies')
const draft = '+'

/** The policies of the vault's API: read, written, and tried on a request before they are stored. */
export function AclPoliciesPage() {
  const reading = useQuery(aclPoliciesQuery)
  const navigate = route.useNavigate()
  const names = reading.data?.items ?? []
  const wanted = route.useSearch().policy
  const shown = wanted ?? names[0] ?? draft
  const show = (policy: string | undefined): void => void navigate({ search: { policy }, resetScroll: false })
  return (
    <VaultFrame
      title="Policies of the vault"
      lead="What tokens may do on Vault's API, in HCL. Keyward's own rules stand above them and can only refuse."
      reading={reading}
      actions={
        <Button tone="solid" icon={Plus} onClick={() => show(draft)}>
          New policy
        </Button>
      }
    >
      <div className="grid gap-5 lg:grid-cols-[13rem_minmax(0,1fr)]">
        <Names names={names} shown={shown} />
        {shown === draft ? (
          <Sheet className="min-w-0 p-5">
            <PolicyEditor key={draft} policy={undefined} onWritten={show} />
          </Sheet>
        ) : (
          <Stored key={shown} name={shown} onGone={() => show(undefined)} />
        )}
      </div>
    </VaultFrame>
  )
}

function Names({ names, shown }: { names: readonly string[]; shown: string }) {
  return (
    <nav aria-label="Policies" className="min-w-0">
      <ul className="flex gap-0.5 overflow-x-auto p-0.5 lg:max-h-[38rem] lg:flex-col lg:overflow-y-auto">
        {names.map((name) => (
          <li key={name} className="shrink-0">
            <Link
              to="/vault/policies"
              search={{ policy: name }}
              aria-current={name === shown ? 'true' : undefined}
              className={`block truncate rounded-lg px-3 py-1.5 -outline-offset-2 hover:bg-hover ${name === shown ? 'bg-surface font-medium shadow-[0_0_0_1px_var(--line)]' : ''}`}
            >
              {name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Stored({ name, onGone }: { name: string; onGone: () => void }) {
  const { data, error, refetch } = useQuery(aclPolicyQuery(name))
  const [asking, setAsking] = useState(false)
  const remove = useChange({
    work: () => call(api.acl.delete, { policyName: name }),
    done: `${name} is removed`,
    onDone: onGone,
  })
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return <Skeleton rows={4} label="Loading the policy" />
  return (
    <Sheet className="min-w-0 p-5">
      <div className="mb-4 flex items-center justify-between gap-3">
        <h2 className="text-base font-semibold break-all">{name}</h2>
        {data.fixed ? null : (
          <Button size="small" tone="danger" icon={Trash2} onClick={() => setAsking(true)}>
            Remove…
          </Button>
        )}
      </div>
      {name === 'root' ? (
        <p>It allows everything and has no text. Give it to nobody for long.</p>
      ) : (
        <PolicyEditor key={data.text} policy={data} onWritten={() => undefined} />
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Remove ${name}?`}
        description="Tokens and roles that name it keep the name and lose what it allows, at once."
        action="Remove"
        dismiss="Keep it"
        work={remove}
      />
    </Sheet>
  )
}
