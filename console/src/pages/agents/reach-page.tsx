import { injectionText, openText, type Reach, type WayOut } from '@keyward/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { CircleCheck, CircleDashed, CircleX, Waypoints } from 'lucide-react'
import { reachQuery } from '../../api/agent-queries.ts'
import { agentsQuery } from '../../api/queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { buttonStyle } from '../../ui/button.tsx'
import { destinationText } from '../../ui/destination.ts'
import { Choice } from '../../ui/field.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Countdown } from '../../ui/time.tsx'
import { OpenNow } from './open-now.tsx'
import { type LineLook, lookOf, widenings } from './reach-layout.ts'
import { ReachPicture } from './reach-picture.tsx'
import { agentRooms } from './rooms.ts'

const route = getRouteApi('/agents/reach')

const looks: Record<LineLook, Look> = {
  held: { hue: 'ok', icon: CircleCheck, text: 'Holds a lease' },
  askable: { hue: 'wait', icon: CircleDashed, text: 'May ask' },
  shut: { hue: 'bad', icon: CircleX, text: 'Refused' },
}

/** What could this agent reach? */
export function ReachPage() {
  const { agent } = route.useSearch()
  const navigate = route.useNavigate()
  const list = useInfiniteQuery(agentsQuery)
  const agents = list.data?.pages.flatMap(({ items }) => items) ?? []
  const chosen = agent ?? agents[0]?.id
  return (
    <>
      <PageHeader
        title="Reach"
        lead="Where an agent could send which secrets, now: each lease that it holds and each grant that it may borrow under, judged by the rules that a request would meet."
        actions={
          chosen === undefined ? null : (
            <Choice
              label="Agent"
              value={chosen}
              options={agents.map(({ id, name }) => [id, name] as const)}
              onChange={(id) => void navigate({ search: { agent: id }, replace: true })}
            />
          )
        }
      >
        <RoomTabs label="Agents" rooms={agentRooms} />
      </PageHeader>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton rows={4} label="Loading the agents" /> : null}
      {list.data && chosen === undefined ? <NoAgent /> : null}
      {chosen === undefined ? null : <ReachOf agentId={chosen} />}
    </>
  )
}

function NoAgent() {
  return (
    <Empty icon={Waypoints} title="No agent is registered">
      <p>An agent reaches what it holds a lease or a grant for, and nothing else.</p>
      <Link to="/agents" className={buttonStyle()}>
        Register an agent
      </Link>
    </Empty>
  )
}

function ReachOf({ agentId }: { agentId: string }) {
  const { data, error, isPending, refetch } = useQuery(reachQuery(agentId))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (isPending) return <Skeleton rows={4} label="Loading what it can reach" />
  if (data.ways.length === 0 && openText(data.open) === '')
    return (
      <Empty icon={Waypoints} title={`${data.agentName} can send no secret anywhere`}>
        <p>It holds no lease and no grant. A run gives its task what it needs; a person can grant more.</p>
        <Link to="/agents" search={{ agent: agentId }} className={buttonStyle()}>
          See the agent
        </Link>
      </Empty>
    )
  return (
    <>
      <OpenNow open={data.open} />
      <ReachPicture reach={data} />
      <Section title="Each way out" aside={summaryOf(data)}>
        <Ways ways={data.ways} />
      </Section>
    </>
  )
}

function summaryOf({ ways }: Reach): string {
  const open = ways.filter((way) => way.open)
  const hosts = new Set(open.map(({ destination }) => destination.host)).size
  const secrets = new Set(open.map(({ secretPath }) => secretPath)).size
  return `${secrets === 1 ? '1 secret' : `${secrets} secrets`} to ${hosts === 1 ? '1 host' : `${hosts} hosts`}`
}

function Ways({ ways }: { ways: readonly WayOut[] }) {
  return (
    <Sheet>
      <ul className="divide-y divide-line" aria-label="Ways out">
        {ways.map((way) => (
          <Way key={`${way.id} ${destinationText(way.destination)}`} way={way} />
        ))}
      </ul>
    </Sheet>
  )
}

function Way({ way }: { way: WayOut }) {
  const { kind, id, secretPath, field, destination, injection, until, usesLeft, open, reason } = way
  const wide = open ? widenings(way) : []
  return (
    <li className="flex flex-col gap-1 px-4 py-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <p className="min-w-0 wrap-anywhere">
          <code>
            {secretPath} · {field ?? 'any field'}
          </code>
          <span className="text-muted"> to </span>
          <code>{destinationText(destination)}</code>
        </p>
        <Badge look={looks[lookOf([way])]} bare />
      </div>
      <p className="text-[0.8125rem] text-muted">
        {injectionText(injection)}, by the {kind} {id}
        {usesLeft === null ? '' : `, ${usesLeft} uses left`}
        {until === null ? null : (
          <>
            , ends in <Countdown until={until} />
          </>
        )}
      </p>
      {open ? null : <p className="text-[0.8125rem] text-bad">{reason}</p>}
      {wide.length > 0 ? (
        <p className="text-[0.8125rem]">
          <span className="font-medium">Wide: </span>
          {wide.join(', ')}
        </p>
      ) : null}
    </li>
  )
}
