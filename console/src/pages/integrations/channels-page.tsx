import { useQuery } from '@tanstack/react-query'
import { MessageSquare } from 'lucide-react'
import { channelsQuery } from '../../api/channel-queries.ts'
import { Command } from '../../ui/copy.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { ChannelLine } from './channel-line.tsx'
import { LinkedAccounts } from './linked-accounts.tsx'
import { integrationRooms } from './rooms.ts'

export function ChannelsPage() {
  const { data, error, isPending, refetch } = useQuery(channelsQuery)
  return (
    <>
      <PageHeader
        title="Channels"
        lead="Where people are told what waits for them and what has ended. In Slack and Teams they answer what is of low risk; the record here is the truth."
      >
        <RoomTabs label="Rooms of the integrations" rooms={integrationRooms} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton label="Loading channels" /> : null}
      {data?.items.length === 0 ? (
        <Empty icon={MessageSquare} title="Nobody is told anything yet">
          <p>
            An owner adds Slack, Teams, mail, a webhook or PagerDuty from a terminal. What it signs in with
            lies in the vault.
          </p>
          <Command text="keyward channels create --help" />
        </Empty>
      ) : null}
      {data && data.items.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {data.items.map((channel) => (
              <ChannelLine key={channel.id} channel={channel} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <LinkedAccounts />
    </>
  )
}
