import { Link } from '@tanstack/react-router'
import { LockKeyhole } from 'lucide-react'
import type { ReactNode } from 'react'
import { problemOf } from '../../api/index.ts'
import { buttonStyle } from '../../ui/button.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
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
        <RoomTabs label="Rooms of the vault" rooms={vaultRooms} />
      </PageHeader>
      {sealed ? <Sealed /> : null}
      {failed ? <Failure error={reading.error} retry={() => void reading.refetch()} /> : null}
      {reading?.isPending ? <Skeleton label={`Loading: ${title}`} /> : null}
      {reading?.error || reading?.isPending ? null : children}
    </>
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
