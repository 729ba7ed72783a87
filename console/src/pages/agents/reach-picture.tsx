import type { Reach, WayOut } from '@keyward/contract'
import { Bot, Globe, KeyRound, type LucideIcon } from 'lucide-react'
import { useMemo, useRef } from 'react'
import { useWidth } from '../../ui/use-width.ts'
import { cardHeight, type Line, lookOf, reachLayout, widenings } from './reach-layout.ts'

const lineStyle: Record<Line['look'], string> = {
  held: 'stroke-ok',
  askable: 'stroke-brass-mark [stroke-dasharray:7_5]',
  shut: 'stroke-bad [stroke-dasharray:2_5]',
}

const legend = [
  ['held', 'it holds a lease'],
  ['askable', 'it may ask for a lease'],
  ['shut', 'it would be refused'],
] as const

/** Below it the three columns would not be readable; the table says the same. */
const narrowest = 620

/** The agent, the secrets that it holds or may ask for, and the hosts where each may go. The table beside it says the same. */
export function ReachPicture({ reach }: { reach: Reach }) {
  const outer = useRef<HTMLDivElement>(null)
  const width = useWidth(outer)
  const layout = useMemo(() => reachLayout(reach.ways), [reach.ways])
  return (
    <div ref={outer} aria-hidden="true">
      {width < narrowest ? null : (
        <>
          <div className="relative" style={{ height: layout.height }}>
            <svg width={width} height={layout.height} className="absolute inset-0" aria-hidden="true">
              <Lines lines={layout.toSecrets} from={width * 0.2} to={width * 0.32} />
              <Lines lines={layout.toPlaces} from={width * 0.66} to={width * 0.72} />
            </svg>
            <Card
              icon={Bot}
              left={0}
              width={width * 0.2}
              top={layout.agentTop}
              title={reach.agentName}
              text={reach.state}
            />
            {layout.secrets.map(({ key, top, ways }) => (
              <Card
                key={key}
                icon={KeyRound}
                left={width * 0.32}
                width={width * 0.34}
                top={top}
                title={key}
                text={secretText(ways)}
              />
            ))}
            {layout.places.map(({ key, top, ways }) => (
              <Card
                key={key}
                icon={Globe}
                left={width * 0.72}
                width={width * 0.28}
                top={top}
                title={key}
                text={placeText(ways)}
              />
            ))}
          </div>
          <ul className="mt-4 mb-8 flex flex-wrap gap-x-5 gap-y-1 text-xs text-muted">
            {legend.map(([look, text]) => (
              <li key={look} className="flex items-center gap-2">
                <svg width={28} height={4} aria-hidden="true">
                  <path d="M0,2L28,2" strokeWidth={2} className={lineStyle[look]} />
                </svg>
                {text}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  )
}

function Lines({ lines, from, to }: { lines: readonly Line[]; from: number; to: number }) {
  const middle = (from + to) / 2
  return lines.map((line) => (
    <path
      key={line.key}
      d={`M${from},${line.from}C${middle},${line.from} ${middle},${line.to} ${to},${line.to}`}
      fill="none"
      strokeWidth={1.75}
      className={lineStyle[line.look]}
    />
  ))
}

type CardProps = { icon: LucideIcon; left: number; width: number; top: number; title: string; text: string }

function Card({ icon: Icon, left, width, top, title, text }: CardProps) {
  return (
    <div
      className="absolute flex items-center gap-2.5 rounded-lg border border-edge/60 bg-surface px-3"
      style={{ left, top, width, height: cardHeight }}
    >
      <Icon size={17} className="shrink-0 text-brass" />
      <div className="min-w-0">
        <p className="truncate font-medium" title={title}>
          {title}
        </p>
        <p className="truncate text-xs text-muted" title={text}>
          {text}
        </p>
      </div>
    </div>
  )
}

function secretText(ways: readonly WayOut[]): string {
  const leases = new Set(ways.filter(({ kind }) => kind === 'lease').map(({ id }) => id)).size
  const grants = new Set(ways.filter(({ kind }) => kind === 'grant').map(({ id }) => id)).size
  return [count(leases, 'lease'), count(grants, 'grant')].filter((part) => part !== '').join(', ')
}

const count = (number: number, noun: string): string =>
  number === 0 ? '' : `${number} ${noun}${number === 1 ? '' : 's'}`

function placeText(ways: readonly WayOut[]): string {
  if (lookOf(ways) === 'shut') return 'would be refused'
  const wide = [...new Set(ways.filter(({ open }) => open).flatMap(widenings))]
  return wide.length === 0 ? 'narrowed to methods and paths' : wide.join(', ')
}
