import { useQuery } from '@tanstack/react-query'
import { Plug } from 'lucide-react'
import { connectionsQuery } from '../../api/connection-queries.ts'
import { ListPage } from '../../ui/list-page.tsx'
import { ConnectionDialog } from './connection-dialog.tsx'
import { ConnectionLine } from './connection-line.tsx'
import { integrationRooms } from './rooms.ts'
import { Triggers } from './triggers.tsx'

export function ConnectionsPage() {
  return (
    <ListPage
      title="Connections"
      lead="Services that runs work with. What each needs to sign in stays in the vault; a task has it while it works, and no longer."
      tabs={{ label: 'Rooms of the integrations', rooms: integrationRooms }}
      query={useQuery(connectionsQuery)}
      add="Connect a service"
      dialog={(props) => <ConnectionDialog {...props} />}
      empty={{
        icon: Plug,
        title: 'No service is connected',
        text: 'Connect GitHub, and a run can read a pull request, wait for its checks, and merge what you approved.',
        command: 'keyward connections add --help',
      }}
      line={(connection) => <ConnectionLine key={connection.id} connection={connection} />}
    >
      <Triggers />
    </ListPage>
  )
}
