import type { RunDetail } from '@keyward/contract'
import { useQueries } from '@tanstack/react-query'
import { useRef } from 'react'
import { approvalQuery } from '../../api/queries.ts'
import { spanText } from '../../ui/amounts.ts'
import { hueText, taskLook } from '../../ui/badge.tsx'
import { Sheet } from '../../ui/page.tsx'
import { useNow } from '../../ui/time.tsx'
import { useWidth } from '../../ui/use-width.ts'
import { axisOf, type Lane, lanesOf, type Piece, placeOf, type Span, ticksOf } from './timeline.ts'

type Props = { run: RunDetail; selected: string | undefined; onSelect: (id: string) => void }

/** Each figure on the axis needs about this much room, in pixels. */
const tickRoom = 90

/** When each task waited for a person and when it ran. */
export function RunTimeline({ run, selected, onSelect }: Props) {
  const now = useNow(run.finishedAt ? 3_600_000 : 1000)
  const ids = run.tasks.flatMap(({ approvalId }) => approvalId ?? [])
  const approvals = useQueries({ queries: ids.map((id) => approvalQuery(id)) })
  const asked = new Map(approvals.flatMap(({ data }) => (data ? [[data.id, data] as const] : [])))
  const lanes = lanesOf(run.tasks, asked, now)
  const axis = axisOf(lanes)
  return (
    <Sheet className="overflow-hidden">
      <Axis axis={axis} />
      <ol className="divide-y divide-line">
        {lanes.map((lane) => (
          <LaneRow
            key={lane.task.id}
            lane={lane}
            axis={axis}
            chosen={lane.task.id === selected}
            onSelect={onSelect}
          />
        ))}
      </ol>
      <Legend folded={axis.some((piece) => piece.folded)} />
    </Sheet>
  )
}

const columns = 'sm:grid sm:grid-cols-[16rem_minmax(0,1fr)] sm:items-center sm:gap-4'
const percent = (share: number): string => `${(share * 100).toFixed(2)}%`

function Axis({ axis }: { axis: readonly Piece[] }) {
  const track = useRef<HTMLDivElement>(null)
  const width = useWidth(track)
  return (
    <div aria-hidden="true" className={`border-b border-line px-4 py-2 text-xs text-muted ${columns}`}>
      <span className="hidden sm:block">Since it began</span>
      <div ref={track} className="relative h-4 tabular-nums">
        {ticksOf(axis, Math.max(1, Math.floor(width / tickRoom))).map(({ seconds, place, later }) => (
          <span
            key={place}
            className={`absolute whitespace-nowrap ${place > 0.9 ? '-translate-x-full' : later ? '-translate-x-1/2' : ''}`}
            style={{ left: percent(place) }}
          >
            {later ? '+' : ''}
            {spanText(seconds)}
          </span>
        ))}
      </div>
    </div>
  )
}

type RowProps = {
  lane: Lane
  axis: readonly Piece[]
  chosen: boolean
  onSelect: (id: string) => void
}

function LaneRow({ lane: { task, spans }, axis, chosen, onSelect }: RowProps) {
  const look = taskLook[task.state]
  const Icon = look.icon
  return (
    <li
      aria-current={chosen ? 'step' : undefined}
      className={`relative px-4 py-2.5 hover:bg-hover aria-[current]:bg-brass-wash ${columns}`}
    >
      <div className="flex min-w-0 items-center gap-2 sm:flex-wrap sm:gap-y-0">
        <Icon
          size={14}
          strokeWidth={2.4}
          aria-hidden="true"
          className={`shrink-0 ${hueText[look.hue]} ${look.moving ? 'spin' : ''}`}
        />
        <button
          type="button"
          onClick={() => onSelect(task.id)}
          className="min-w-0 flex-1 truncate text-left text-[0.8125rem] font-medium after:absolute after:inset-0 after:content-['']"
        >
          {task.title}
        </button>
        <span className="shrink-0 text-xs whitespace-nowrap text-muted tabular-nums sm:basis-full sm:pl-[1.375rem]">
          {lengthsOf(spans) || look.text}
        </span>
      </div>
      <div className="relative mt-1.5 h-4 sm:mt-0" aria-hidden="true">
        {axis.map((piece) => (piece.folded ? <Fold key={piece.from} piece={piece} /> : null))}
        {spans.map((span) => (
          <Bar key={span.kind} span={span} axis={axis} failed={look.hue === 'bad' || look.hue === 'odd'} />
        ))}
      </div>
    </li>
  )
}

const verbs = { waited: 'waited', ran: 'ran' } as const
const lengthsOf = (spans: readonly Span[]): string =>
  spans.map(({ kind, from, to }) => `${verbs[kind]} ${spanText((to - from) / 1000)}`).join(', ')

function Bar({ span, axis, failed }: { span: Span; axis: readonly Piece[]; failed: boolean }) {
  const left = placeOf(span.from, axis)
  const style = { left: percent(left), width: percent(placeOf(span.to, axis) - left) }
  const ran = failed ? 'bg-bad' : span.open ? 'bg-busy' : 'bg-ok'
  return (
    <span
      className={`absolute inset-y-0.5 min-w-[3px] rounded-[3px] ${span.kind === 'waited' ? 'border border-wait bg-wait-wash' : ran}`}
      style={style}
    />
  )
}

function Fold({ piece }: { piece: Piece }) {
  return (
    <span
      className="absolute -inset-y-2.5 border-x sm:-inset-y-5 border-dashed border-edge/60"
      style={{ left: percent(piece.left), width: percent(piece.right - piece.left) }}
    />
  )
}

function Legend({ folded }: { folded: boolean }) {
  return (
    <p className="flex flex-wrap gap-x-5 gap-y-1 border-t border-line px-4 py-2.5 text-xs text-muted">
      <Key className="bg-ok" text="ran" />
      <Key className="bg-busy" text="runs now" />
      <Key className="bg-bad" text="failed" />
      <Key className="border border-wait bg-wait-wash" text="waited for a person" />
      {folded ? (
        <Key className="border-x border-dashed border-edge" text="nothing ran for long: drawn short" />
      ) : null}
    </p>
  )
}

function Key({ className, text }: { className: string; text: string }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span className={`h-2.5 w-5 rounded-[3px] ${className}`} aria-hidden="true" />
      {text}
    </span>
  )
}
