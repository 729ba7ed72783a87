import { useQuery } from '@tanstack/react-query'
import { MessageSquare } from 'lucide-react'
import { channelsQuery } from '../../api/channel-queries.ts'
import { ListPage } from '../../ui/list-page.tsx'
import { ChannelDialog } from './channel-dialog.tsx'
import { ChannelLine } from './channel-line.tsx'
import { LinkedAccounts } from './linked-accounts.tsx'
import { integrationRooms } from './rooms.ts'

export function ChannelsPage() {
  return (
    <ListPage
      title="Channels"
      lead="Where people are told what waits for them and what has ended. In Slack and Teams they answer what is of low risk; the record here is the truth."
      tabs={{ label: 'Rooms of the integrations', rooms: integrationRooms }}
      query={useQuery(channelsQuery)}
      add="Add a channel"
      dialog={(props) => <ChannelDialog {...props} />}
      empty={{
        icon: MessageSquare,
        title: 'Nobody is told anything yet',
        text: 'Add Slack, Teams, mail, a webhook or PagerDuty. What it signs in with lies in the vault.',
        command: 'keyward channels create --help',
      }}
      line={(channel) => <ChannelLine key={channel.id} channel={channel} />}
    >
      <LinkedAccounts />
    </ListPage>
  )
}
