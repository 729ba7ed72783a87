import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { KeyRound, LockKeyhole } from 'lucide-react'
import { problemOf } from '../../api/index.ts'
import { secretsQuery } from '../../api/queries.ts'
import { Command } from '../../ui/copy.tsx'
import { useWide } from '../../ui/detail-panel.tsx'
import { SideSheet } from '../../ui/dialog.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { SecretPanel } from './secret-panel.tsx'
import { SecretTree } from './secret-tree.tsx'

const route = getRouteApi('/vault')

export function VaultPage() {
  const { secret } = route.useSearch()
  const navigate = route.useNavigate()
  const top = useQuery(secretsQuery(''))
  const wide = useWide()
  const select = (path: string | undefined): void =>
    void navigate({ search: { secret: path }, resetScroll: false })
  const sealed = problemOf(top.error).code === 'vault.sealed'
  return (
    <>
      <PageHeader
        title="Vault"
        lead="Names, never values. Agents borrow what is here through a placeholder; a person may look at a value, and that is recorded first."
      />
      {sealed ? <Sealed /> : null}
      {top.error && !sealed ? <Failure error={top.error} retry={() => void top.refetch()} /> : null}
      {top.isPending ? <Skeleton label="Loading the vault" /> : null}
      {top.data?.items.length === 0 ? <Nothing /> : null}
      {top.data && top.data.items.length > 0 ? (
        <div className="grid gap-5 min-[1180px]:grid-cols-[minmax(0,22rem)_minmax(0,1fr)]">
          <Sheet className="self-start p-2">
            <nav aria-label="Secrets">
              <SecretTree entries={top.data.items} selected={secret} onSelect={select} />
            </nav>
          </Sheet>
          {wide ? <Beside path={secret} /> : null}
        </div>
      ) : null}
      {secret && !wide ? (
        <SideSheet open onClose={() => select(undefined)} title="Secret" side="right">
          <div className="p-4">
            <SecretPanel key={secret} path={secret} />
          </div>
        </SideSheet>
      ) : null}
    </>
  )
}

function Beside({ path }: { path: string | undefined }) {
  if (path) {
    return (
      <Sheet className="self-start p-6">
        <SecretPanel key={path} path={path} />
      </Sheet>
    )
  }
  return (
    <div className="flex min-h-60 flex-col items-center justify-center gap-3 rounded-xl border border-dashed border-edge/50 text-muted">
      <KeyRound size={22} aria-hidden="true" />
      <p>Choose a secret to see its fields and its reference.</p>
    </div>
  )
}

function Sealed() {
  return (
    <Empty icon={LockKeyhole} title="The vault is sealed">
      <p>Its key is not in memory, so nothing can be read or lent. Whoever holds the key shares opens it:</p>
      <Command text="bao operator unseal" />
    </Empty>
  )
}

function Nothing() {
  return (
    <Empty icon={KeyRound} title="The vault is empty">
      <p>Import a finding, or write a secret with any client of the Vault API:</p>
      <Command text="bao kv put secret/shop/stripe key=-" />
    </Empty>
  )
}
