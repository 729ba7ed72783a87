import { useQuery } from '@tanstack/react-query'
import { MessageSquare, Plus } from 'lucide-react'
import { useState } from 'react'
import { channelsQuery } from '../../api/channel-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { ChannelDialog } from './channel-dialog.tsx'
import { ChannelLine } from './channel-line.tsx'
import { LinkedAccounts } from './linked-accounts.tsx'
import { integrationRooms } from './rooms.ts'

export function ChannelsPage() {
  const { data, error, isPending, refetch } = useQuery(channelsQuery)
  const [adding, setAdding] = useState(false)
  const add = (
    <Button tone="solid" icon={Plus} onClick={() => setAdding(true)}>
      Add a channel
    </Button>
  )
  return (
    <>
      <PageHeader
        title="Channels"
        lead="Where people are told what waits for them and what has ended. In Slack and Teams they answer what is of low risk; the record here is the truth."
        actions={data && data.items.length > 0 ? add : null}
      >
        <RoomTabs label="Rooms of the integrations" rooms={integrationRooms} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton label="Loading channels" /> : null}
      {data?.items.length === 0 ? (
        <Empty icon={MessageSquare} title="Nobody is told anything yet">
          <p>Add Slack, Teams, mail, a webhook or PagerDuty. What it signs in with lies in the vault.</p>
          {add}
          <p>or, from a terminal:</p>
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
      <ChannelDialog open={adding} onClose={() => setAdding(false)} />
      <LinkedAccounts />
    </>
  )
}
