import type { AgentView } from '@keyward/contract'
import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Bot, Plus } from 'lucide-react'
import { useState } from 'react'
import { agentsQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { agentLook, Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Time } from '../../ui/time.tsx'
import { OpenAsks } from './agent-asks.tsx'
import { AgentDetail } from './agent-detail.tsx'
import { RegisterDialog } from './register-dialog.tsx'
import { agentRooms } from './rooms.ts'

const route = getRouteApi('/agents')

export function AgentsPage() {
  const { agent: wanted } = route.useSearch()
  const navigate = route.useNavigate()
  const [registering, setRegistering] = useState(false)
  const list = useInfiniteQuery(agentsQuery)
  const agents = list.data?.pages.flatMap(({ items }) => items) ?? []
  const selected = agents.find(({ id }) => id === wanted)
  const select = (agent: string | undefined): void => void navigate({ search: { agent }, resetScroll: false })
  return (
    <>
      <PageHeader
        title="Agents"
        lead="An agent borrows secrets for a purpose and a time. It gets a placeholder; the egress proxy puts the value in on the way out, to the allowed hosts only."
        actions={
          <Button tone="solid" icon={Plus} onClick={() => setRegistering(true)}>
            Register an agent
          </Button>
        }
      >
        <RoomTabs label="Agents" rooms={agentRooms} />
      </PageHeader>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton label="Loading agents" /> : null}
      {list.data && agents.length === 0 ? <Nothing /> : null}
      <OpenAsks />
      {agents.length > 0 ? (
        <div className="flex gap-5">
          <div className="min-w-0 flex-1">
            <Sheet>
              <ul className="divide-y divide-line">
                {agents.map((agent) => (
                  <AgentRow
                    key={agent.id}
                    agent={agent}
                    selected={agent.id === wanted}
                    onSelect={() => select(agent.id)}
                  />
                ))}
              </ul>
            </Sheet>
            <LoadMore more={list} />
          </div>
          {selected ? (
            <DetailPanel title={selected.name} onClose={() => select(undefined)}>
              <AgentDetail key={selected.id} agent={selected} />
            </DetailPanel>
          ) : null}
        </div>
      ) : null}
      <RegisterDialog open={registering} onClose={() => setRegistering(false)} />
    </>
  )
}

function AgentRow({
  agent,
  selected,
  onSelect,
}: {
  agent: AgentView
  selected: boolean
  onSelect: () => void
}) {
  const tint = selected ? 'bg-brass-wash' : 'hover:bg-hover'
  return (
    <li
      aria-current={selected || undefined}
      className={`relative flex flex-wrap items-center gap-x-6 gap-y-1.5 px-4 py-3.5 first:rounded-t-xl last:rounded-b-xl ${tint}`}
    >
      <Bot size={18} className="shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-[10rem] flex-1">
        <button
          type="button"
          onClick={onSelect}
          className="text-left font-medium after:absolute after:inset-0 after:content-['']"
        >
          {agent.name}
        </button>
        <p className="truncate text-[0.8125rem] text-muted">
          {agent.description || (
            <>
              Owned by <Actor id={agent.owner} />
            </>
          )}
        </p>
      </div>
      <span className="text-[0.8125rem] text-muted tabular-nums">
        {agent.activeLeases === 1 ? '1 lease' : `${agent.activeLeases} leases`}
      </span>
      <span className="text-xs text-muted">
        {agent.lastUsedAt ? (
          <>
            used <Time at={agent.lastUsedAt} />
          </>
        ) : (
          'never used'
        )}
      </span>
      <Badge look={agentLook[agent.state]} />
    </li>
  )
}

function Nothing() {
  return (
    <Empty icon={Bot} title="No agent is registered">
      <p>Register one here, or from a terminal. Its API key is shown once.</p>
      <Command text="keyward agents register my-agent" />
    </Empty>
  )
}
