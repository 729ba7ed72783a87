import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Connection } from '../api/index.ts'
import { statusQuery } from '../api/queries.ts'
import { Mark } from '../ui/mark.tsx'
import { type Place, places } from './places.ts'

type Props = { pending: number; connection: Connection }

export function Sidebar({ pending, connection }: Props) {
  const { data: status } = useQuery(statusQuery)
  return (
    <div className="flex h-full flex-col px-3 py-4">
      <Link
        to="/"
        className="mb-5 hidden items-center gap-2.5 px-2.5 text-[1.0625rem] font-semibold tracking-[-0.02em] lg:flex"
      >
        <Mark size={24} />
        Keyward
      </Link>
      <nav aria-label="Pages" className="flex-1">
        <ul className="flex flex-col gap-0.5">
          {places.map((place) => (
            <li key={place.path}>
              <PlaceLink place={place} count={place.path === '/approvals' ? pending : 0} />
            </li>
          ))}
        </ul>
      </nav>
      <div className="mt-6 px-2.5 text-xs text-muted">
        <LiveSign connection={connection} />
        {status ? <p className="mt-1">Version {status.version}</p> : null}
      </div>
    </div>
  )
}

function PlaceLink({ place, count }: { place: Place; count: number }) {
  const Icon = place.icon
  return (
    <Link
      to={place.path}
      activeOptions={{ exact: place.path === '/', includeSearch: false }}
      className="group relative flex h-9 items-center gap-2.5 rounded-md px-2.5 text-muted transition-colors hover:bg-hover hover:text-ink aria-[current=page]:bg-surface aria-[current=page]:font-medium aria-[current=page]:text-ink aria-[current=page]:shadow-[0_0_0_1px_var(--line)]"
    >
      <span
        aria-hidden="true"
        className="absolute top-2 bottom-2 -left-[0.7rem] w-[3px] rounded-full bg-brass-mark opacity-0 group-aria-[current=page]:opacity-100"
      />
      <Icon size={17} className="group-aria-[current=page]:text-brass" aria-hidden="true" />
      <span className="flex-1">{place.name}</span>
      {count > 0 ? (
        <span className="rounded-full bg-brass-mark px-1.5 text-[0.6875rem] leading-[1.125rem] font-semibold text-[#16130a] tabular-nums">
          {count}
          <span className="sr-only"> waiting</span>
        </span>
      ) : null}
    </Link>
  )
}

const signs: Record<Connection, { dot: string; text: string }> = {
  live: { dot: 'bg-ok', text: 'Live' },
  connecting: { dot: 'bg-wait', text: 'Connecting…' },
  lost: { dot: 'bg-bad', text: 'Not live: reads every 10 s' },
}

function LiveSign({ connection }: { connection: Connection }) {
  const { dot, text } = signs[connection]
  return (
    <p className="flex items-center gap-2">
      <span className={`size-2 rounded-full ${dot}`} aria-hidden="true" />
      {text}
    </p>
  )
}
