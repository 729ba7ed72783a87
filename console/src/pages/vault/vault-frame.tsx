import { Link } from '@tanstack/react-router'
import { LockKeyhole } from 'lucide-react'
import { type ReactNode, useEffect, useRef } from 'react'
import { problemOf } from '../../api/index.ts'
import { buttonStyle } from '../../ui/button.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader } from '../../ui/page.tsx'
import { vaultRooms } from './rooms.ts'

type Reading = { error: unknown; isPending: boolean; refetch: () => unknown }
type Props = {
  title: string
  lead: ReactNode
  actions?: ReactNode
  /** What must be read before there is anything to show. */
  reading?: Reading
  /** Shown while the vault is sealed too. */
  evenSealed?: boolean
  children: ReactNode
}

/** The frame of every page about the vault: its rooms, and what is shown when it is sealed, late or refused. */
export function VaultFrame({ title, lead, actions, reading, evenSealed = false, children }: Props) {
  const sealed = !evenSealed && problemOf(reading?.error).code === 'vault.sealed'
  const failed = reading?.error && !sealed
  return (
    <>
      <PageHeader title={title} lead={lead} actions={sealed || failed ? null : actions}>
        <Rooms />
      </PageHeader>
      {sealed ? <Sealed /> : null}
      {failed ? <Failure error={reading.error} retry={() => void reading.refetch()} /> : null}
      {reading?.isPending ? <Skeleton label={`Loading: ${title}`} /> : null}
      {reading?.error || reading?.isPending ? null : children}
    </>
  )
}

/** One line that scrolls by itself on a narrow screen; the room one is in is brought into sight. */
function Rooms() {
  const list = useRef<HTMLUListElement>(null)
  useEffect(() => {
    const current = list.current?.querySelector('[aria-current=page]')
    const box = list.current?.parentElement
    if (current instanceof HTMLElement && box) box.scrollLeft = current.offsetLeft - 40
  }, [])
  return (
    <nav aria-label="Rooms of the vault" className="relative mt-4 overflow-x-auto border-b border-line">
      <ul ref={list} className="flex w-max gap-1 pt-1">
        {vaultRooms.map(({ to, name }) => (
          <li key={to}>
            <Link
              to={to}
              activeOptions={{ exact: true, includeSearch: false }}
              className="inline-flex h-9 items-center border-b-2 border-transparent px-2.5 text-muted -outline-offset-2 hover:text-ink aria-[current=page]:border-brass-mark aria-[current=page]:font-medium aria-[current=page]:text-ink"
            >
              {name}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Sealed() {
  return (
    <Empty icon={LockKeyhole} title="The vault is sealed">
      <p>Its key is not in memory, so nothing can be read or lent. Whoever holds the key shares opens it.</p>
      <Link to="/vault/seal" className={buttonStyle('solid')}>
        Unseal
      </Link>
    </Empty>
  )
}
