import type { EgressRequest } from '@keyward/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Globe, Pause, Play, X } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { requestsQuery } from '../../api/agent-queries.ts'
import { statusQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { Input } from '../../ui/field.tsx'
import { FilterLinks } from '../../ui/filter-links.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { OpenNow } from './open-now.tsx'
import { RequestDetail } from './request-detail.tsx'
import { outcomeLooks, RequestTable } from './request-table.tsx'
import { agentRooms } from './rooms.ts'
import { useAgentNames } from './use-agent-names.ts'

const route = getRouteApi('/agents/egress')

export function EgressPage() {
  const { agent, outcome, host, run, entry } = route.useSearch()
  const navigate = route.useNavigate()
  const [wanted, setWanted] = useState(true)
  // Who reads a row, or older ones, is not disturbed.
  const [older, setOlder] = useState(false)
  const following = wanted && !older && entry === undefined
  const { data: status } = useQuery({ ...statusQuery, refetchInterval: following ? 5000 : false })
  const filter = { agentId: agent, outcome, host, runId: run }
  const list = useInfiniteQuery(requestsQuery(filter, following))
  const requests = list.data?.pages.flatMap(({ items }) => items) ?? []
  const selected = requests.find(({ seq }) => String(seq) === entry)
  const select = (seq: number | undefined): void =>
    void navigate({
      search: (kept) => ({ ...kept, entry: seq === undefined ? undefined : String(seq) }),
      resetScroll: false,
    })
  const more = {
    ...list,
    fetchNextPage: () => {
      setOlder(true)
      return list.fetchNextPage()
    },
  }
  const follow = (): void => {
    setWanted(!following)
    setOlder(false)
    if (!following) select(undefined)
  }
  return (
    <>
      <PageHeader
        title="Egress"
        lead="Every request that left a sandbox, and every one that was refused, with the decision. Values never stand here, nor what a query carries."
        actions={
          <Button icon={following ? Pause : Play} aria-pressed={following} onClick={follow}>
            {following ? 'Following' : 'Follow'}
          </Button>
        }
      >
        <RoomTabs label="Agents" rooms={agentRooms} />
      </PageHeader>
      <OpenNow open={status?.open} />
      <Filters />
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton rows={8} label="Loading the requests" /> : null}
      {list.data && requests.length === 0 ? (
        <Nothing filtered={Boolean(agent ?? outcome ?? host ?? run)} />
      ) : null}
      {requests.length > 0 ? (
        <div className="flex gap-5">
          <div className="min-w-0 flex-1">
            <RequestTable requests={requests} selected={selected?.seq} onSelect={select} />
            <LoadMore more={more} />
          </div>
          {selected ? (
            <DetailPanel title={selected.host} onClose={() => select(undefined)}>
              <RequestDetail key={selected.seq} request={selected} />
            </DetailPanel>
          ) : null}
        </div>
      ) : null}
    </>
  )
}

const outcomes: readonly (EgressRequest['outcome'] | undefined)[] = [
  undefined,
  'allowed',
  'denied',
  'misused',
  'failed',
]

function Filters() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const nameOf = useAgentNames()
  const { agent, outcome, run, host } = search
  return (
    <div className="mb-4 flex flex-wrap items-end gap-x-4 gap-y-3">
      <FilterLinks
        label="Outcome"
        to="/agents/egress"
        links={outcomes.map((one) => ({
          text: one === undefined ? 'All' : outcomeLooks[one].text,
          search: { ...search, outcome: one, entry: undefined },
          chosen: one === outcome,
        }))}
      />
      <HostFilter key={host} host={host ?? ''} />
      {agent === undefined ? null : (
        <Only
          text={`Only ${nameOf(agent)}`}
          onClear={() => void navigate({ search: (kept) => ({ ...kept, agent: undefined }), replace: true })}
        />
      )}
      {run === undefined ? null : (
        <Only
          text={`Only ${run}`}
          onClear={() => void navigate({ search: (kept) => ({ ...kept, run: undefined }), replace: true })}
        />
      )}
    </div>
  )
}

function Only({ text, onClear }: { text: string; onClear: () => void }) {
  return (
    <Button size="small" icon={X} className="max-w-full" onClick={onClear}>
      <span className="truncate">{text}</span>
    </Button>
  )
}

function HostFilter({ host }: { host: string }) {
  const navigate = route.useNavigate()
  const [text, setText] = useState(host)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const wanted = text.trim() === '' ? undefined : text.trim()
    void navigate({ search: (kept) => ({ ...kept, host: wanted, entry: undefined }), replace: true })
  }
  return (
    <form onSubmit={submit} className="flex items-end gap-2">
      <Input
        label="Host"
        value={text}
        spellCheck={false}
        autoComplete="off"
        placeholder="api.example.com"
        onChange={({ target }) => setText(target.value)}
      />
      <Button type="submit">Show</Button>
    </form>
  )
}

function Nothing({ filtered }: { filtered: boolean }) {
  return (
    <Empty icon={Globe} title={filtered ? 'No request matches' : 'Nothing left a sandbox yet'}>
      <p>
        {filtered
          ? 'Choose “All”, or take a filter away.'
          : 'What an agent asks of the outside appears here as it happens, allowed or refused.'}
      </p>
    </Empty>
  )
}
