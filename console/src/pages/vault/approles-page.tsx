import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Plus, ServerCog } from 'lucide-react'
import { useState } from 'react'
import { appRolesQuery } from '../../api/vault-queries.ts'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { Empty } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { AppRoleDetail } from './approle-detail.tsx'
import { AppRoleDialog } from './approle-dialog.tsx'
import { VaultFrame } from './vault-frame.tsx'

const route = getRouteApi('/vault/approles')

export function AppRolesPage() {
  const reading = useQuery(appRolesQuery)
  const { role: wanted } = route.useSearch()
  const navigate = route.useNavigate()
  const [making, setMaking] = useState(false)
  const { items = [], mounts = [] } = reading.data ?? {}
  const [firstMount] = mounts
  const selected = items.find(({ mount, name }) => mount + name === wanted)
  const select = (role: string | undefined): void => void navigate({ search: { role }, resetScroll: false })
  return (
    <VaultFrame
      title="AppRoles"
      lead="How programs sign in: a role id that may be known, and a secret id that is handed over wrapped and works as often as the role says."
      reading={reading}
      actions={
        firstMount ? (
          <Button tone="solid" icon={Plus} onClick={() => setMaking(true)}>
            New role
          </Button>
        ) : null
      }
    >
      {firstMount === undefined ? <NotEnabled /> : null}
      {firstMount !== undefined && items.length === 0 ? <NoRoles /> : null}
      {items.length > 0 ? (
        <div className="flex gap-5">
          <Sheet className="min-w-0 flex-1 self-start">
            <ul className="divide-y divide-line">
              {items.map(({ mount, name }) => {
                const id = mount + name
                return (
                  <li
                    key={id}
                    aria-current={id === wanted || undefined}
                    className={`relative flex min-h-12 items-center gap-4 px-4 py-2.5 first:rounded-t-xl last:rounded-b-xl ${id === wanted ? 'bg-brass-wash' : 'hover:bg-hover'}`}
                  >
                    <ServerCog size={17} className="shrink-0 text-muted" aria-hidden="true" />
                    <button
                      type="button"
                      onClick={() => select(id)}
                      className="min-w-0 flex-1 text-left font-medium break-all after:absolute after:inset-0 after:content-['']"
                    >
                      {name}
                    </button>
                    <code className="text-muted">{mount}</code>
                  </li>
                )
              })}
            </ul>
          </Sheet>
          {selected ? (
            <DetailPanel title={selected.name} onClose={() => select(undefined)}>
              <AppRoleDetail
                key={wanted}
                mount={selected.mount}
                roleName={selected.name}
                onGone={() => select(undefined)}
              />
            </DetailPanel>
          ) : null}
        </div>
      ) : null}
      {firstMount ? (
        <AppRoleDialog
          open={making}
          mounts={mounts}
          onClose={() => setMaking(false)}
          onWritten={({ mount, name }) => select(mount + name)}
        />
      ) : null}
    </VaultFrame>
  )
}

function NotEnabled() {
  return (
    <Empty icon={ServerCog} title="AppRole is not enabled">
      <p>Enable the auth method first; then each program gets a role of its own.</p>
      <Link to="/vault/mounts" className={buttonStyle('solid')}>
        To the mounts
      </Link>
    </Empty>
  )
}

function NoRoles() {
  return (
    <Empty icon={ServerCog} title="No program has a role">
      <p>A role says which policies a program gets, and for how long.</p>
    </Empty>
  )
}
