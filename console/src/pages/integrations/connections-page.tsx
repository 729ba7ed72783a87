import { useQuery } from '@tanstack/react-query'
import { Plug, Plus } from 'lucide-react'
import { useState } from 'react'
import { connectionsQuery } from '../../api/connection-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { ConnectionDialog } from './connection-dialog.tsx'
import { ConnectionLine } from './connection-line.tsx'
import { integrationRooms } from './rooms.ts'
import { Triggers } from './triggers.tsx'

export function ConnectionsPage() {
  const { data, error, isPending, refetch } = useQuery(connectionsQuery)
  const [adding, setAdding] = useState(false)
  const add = (
    <Button tone="solid" icon={Plus} onClick={() => setAdding(true)}>
      Connect a service
    </Button>
  )
  return (
    <>
      <PageHeader
        title="Connections"
        lead="Services that runs work with. What each needs to sign in stays in the vault; a task has it while it works, and no longer."
        actions={data && data.items.length > 0 ? add : null}
      >
        <RoomTabs label="Rooms of the integrations" rooms={integrationRooms} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton label="Loading connections" /> : null}
      {data?.items.length === 0 ? (
        <Empty icon={Plug} title="No service is connected">
          <p>
            Connect GitHub, and a run can read a pull request, wait for its checks, and merge what you
            approved.
          </p>
          {add}
          <p>or, from a terminal:</p>
          <Command text="keyward connections add --help" />
        </Empty>
      ) : null}
      {data && data.items.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {data.items.map((connection) => (
              <ConnectionLine key={connection.id} connection={connection} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <Triggers />
      <ConnectionDialog open={adding} onClose={() => setAdding(false)} />
    </>
  )
}
