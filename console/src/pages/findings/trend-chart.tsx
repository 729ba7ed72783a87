import type { TrendDay } from '@keyward/contract'
import { useRef } from 'react'
import { Sheet } from '../../ui/page.tsx'
import { ScrollRegion } from '../../ui/scroll-region.tsx'
import { useWidth } from '../../ui/use-width.ts'

const height = 220
const margin = { left: 40, right: 8, top: 12, bottom: 24 }
const innerHeight = height - margin.top - margin.bottom
/** Until the chart has been laid out. */
const widthAtFirst = 720
const narrowest = 200

const closedOf = ({ fixed, imported, ignored }: TrendDay): number => fixed + imported + ignored
const dayText = (day: string): string =>
  new Date(`${day}T12:00:00Z`).toLocaleDateString(undefined, {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  })

/** The open ones as a line; what came and what went as bars. The same numbers as a table for who cannot see it. */
export function TrendChart({ days }: { days: readonly TrendDay[] }) {
  const box = useRef<HTMLDivElement>(null)
  // As wide as there is room, so that its text is as large as any other.
  const width = Math.max(narrowest, useWidth(box) || widthAtFirst)
  const top = niceTop(Math.max(1, ...days.map((day) => Math.max(day.open, day.opened, closedOf(day)))))
  const step = (width - margin.left - margin.right) / days.length
  const scale: Scale = {
    step,
    x: (i) => margin.left + (i + 0.5) * step,
    y: (value) => margin.top + innerHeight * (1 - value / top),
  }
  const { x, y } = scale
  const line = days
    .map(({ open }, i) => `${i === 0 ? 'M' : 'L'}${x(i).toFixed(1)} ${y(open).toFixed(1)}`)
    .join('')
  return (
    <Sheet className="p-4">
      <Legend days={days} />
      <div ref={box} className="mt-3">
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={summaryOf(days)}
          className="block max-w-full"
        >
          {[0, top / 2, top].map((value) => (
            <g key={value}>
              <line
                x1={margin.left}
                x2={width - margin.right}
                y1={y(value)}
                y2={y(value)}
                className="stroke-line"
              />
              <text
                x={margin.left - 8}
                y={y(value) + 4}
                textAnchor="end"
                className="fill-muted text-xs tabular-nums"
              >
                {value.toLocaleString()}
              </text>
            </g>
          ))}
          {days.map((day, i) => (
            <Bars key={day.day} day={day} at={i} scale={scale} />
          ))}
          <path
            d={line}
            fill="none"
            strokeWidth={2}
            strokeLinejoin="round"
            className="pointer-events-none stroke-brass-mark"
          />
          {ticksOf(days.length, width).map((i) => (
            <text key={i} x={x(i)} y={height - 6} textAnchor="middle" className="fill-muted text-xs">
              {dayText(days[i]?.day ?? '')}
            </text>
          ))}
        </svg>
      </div>
      <Numbers days={days} />
    </Sheet>
  )
}

type Scale = { readonly step: number; x(day: number): number; y(value: number): number }

/** What came and what went on one day, and, for who points at it, its numbers. */
function Bars({ day, at, scale: { step, x, y } }: { day: TrendDay; at: number; scale: Scale }) {
  const wide = Math.max(1, Math.min(8, step * 0.36))
  const closed = closedOf(day)
  const { open, opened, fixed, imported, ignored } = day
  return (
    <g>
      <rect x={x(at) - wide} y={y(opened)} width={wide} height={y(0) - y(opened)} className="fill-bad" />
      <rect x={x(at)} y={y(closed)} width={wide} height={y(0) - y(closed)} className="fill-ok" />
      <rect
        x={x(at) - step / 2}
        y={margin.top}
        width={step}
        height={innerHeight}
        className="fill-transparent hover:fill-ink/5"
      >
        <title>{`${dayText(day.day)}: ${open} open, ${opened} new, ${fixed} fixed, ${imported} into the vault, ${ignored} ignored`}</title>
      </rect>
    </g>
  )
}

/** Round, so that half of it is whole. */
function niceTop(most: number): number {
  const size = 10 ** Math.floor(Math.log10(most))
  const top = [1, 2, 4, 6, 8, 10].find((step) => step * size >= most) ?? 10
  return Math.max(2, top * size)
}

/** As many days as have room for their names. */
function ticksOf(length: number, width: number): number[] {
  const count = Math.min(Math.max(2, Math.floor(width / 130)), length)
  return Array.from({ length: count }, (_, i) => Math.round(((i + 0.5) * length) / count - 0.5))
}

function summaryOf(days: readonly TrendDay[]): string {
  const [first, last] = [days[0], days.at(-1)]
  const sum = (of: (day: TrendDay) => number): number => days.reduce((total, day) => total + of(day), 0)
  return `Open findings from ${first?.day} to ${last?.day}: ${first?.open} at first, ${last?.open} at the end. ${sum(({ opened }) => opened)} were new, ${sum(closedOf)} were dealt with.`
}

function Legend({ days }: { days: readonly TrendDay[] }) {
  const last = days.at(-1)
  const sum = (of: (day: TrendDay) => number): string =>
    days.reduce((total, day) => total + of(day), 0).toLocaleString()
  const entries = [
    ['bg-brass-mark', 'Open now', (last?.open ?? 0).toLocaleString()],
    ['bg-bad', 'New', sum(({ opened }) => opened)],
    ['bg-ok', 'Dealt with', sum(closedOf)],
  ] as const
  return (
    <dl className="flex flex-wrap gap-x-8 gap-y-2">
      {entries.map(([color, name, value]) => (
        <div key={name}>
          <dt className="flex items-center gap-2 text-xs text-muted">
            <span className={`size-2.5 rounded-xs ${color}`} aria-hidden="true" />
            {name}
          </dt>
          <dd className="text-xl font-semibold tabular-nums">{value}</dd>
        </div>
      ))}
    </dl>
  )
}

const headings = ['Day', 'Open', 'New', 'Fixed', 'Into the vault', 'Ignored']

function Numbers({ days }: { days: readonly TrendDay[] }) {
  return (
    <details className="mt-3 text-[0.8125rem]">
      <summary className="inline-block min-h-6 text-muted hover:text-ink">The same as a table</summary>
      <ScrollRegion label="Findings by day" className="mt-2 max-h-72 overflow-auto">
        <table className="w-full tabular-nums">
          <thead>
            <tr className="text-left text-xs text-muted">
              {headings.map((name) => (
                <th key={name} scope="col" className="py-1 pr-4 font-normal">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days.toReversed().map(({ day, open, opened, fixed, imported, ignored }) => (
              <tr key={day} className="border-t border-line">
                <th scope="row" className="py-1 pr-4 text-left font-normal whitespace-nowrap">
                  {day}
                </th>
                <td className="pr-4">{open}</td>
                <td className="pr-4">{opened}</td>
                <td className="pr-4">{fixed}</td>
                <td className="pr-4">{imported}</td>
                <td>{ignored}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollRegion>
    </details>
  )
}
