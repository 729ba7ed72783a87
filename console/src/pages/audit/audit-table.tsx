import type { AuditEntry } from '@keyward/contract'
import { type ReactNode, useRef } from 'react'
import { Badge } from '../../ui/badge.tsx'
import { Sheet } from '../../ui/page.tsx'
import { type More, useRowsInSight } from '../../ui/rows-in-sight.ts'
import { Time } from '../../ui/time.tsx'
import { eventText, outcomeLook } from './audit-line.tsx'

const rowHeight = 41
const cell = 'truncate px-2 first:pl-4 last:pr-4'

type Props = {
  entries: AuditEntry[]
  selected: number | undefined
  onSelect: (seq: number) => void
  more: More
}

/** The log as a table that draws only the rows in sight, however long it gets. */
export function AuditTable({ entries, selected, onSelect, more }: Props) {
  const body = useRef<HTMLTableSectionElement>(null)
  const { shown, before, after } = useRowsInSight(body, { count: entries.length, rowHeight }, more)
  const rowCount = more.hasNextPage ? -1 : entries.length + 1
  return (
    <Sheet className="@container min-w-0 flex-1 self-start overflow-hidden">
      <table className="w-full table-fixed border-collapse" aria-rowcount={rowCount}>
        <caption className="sr-only">Audit entries, newest first</caption>
        <Head />
        <tbody ref={body}>
          <Space height={before} />
          {shown.map((index) => {
            const entry = entries[index]
            if (!entry) return null
            return (
              <Row
                key={entry.seq}
                entry={entry}
                index={index}
                chosen={entry.seq === selected}
                onSelect={onSelect}
              />
            )
          })}
          <Space height={after} />
        </tbody>
      </table>
      {more.isFetchingNextPage ? (
        <p className="px-4 py-2 text-xs text-muted">Reading older entries…</p>
      ) : null}
    </Sheet>
  )
}

function Space({ height }: { height: number }) {
  if (height <= 0) return null
  return (
    <tr>
      <td style={{ height, padding: 0 }} />
    </tr>
  )
}

function Head() {
  return (
    <thead className="border-b border-line text-xs text-muted">
      <tr aria-rowindex={1} className="h-9 text-left">
        <Column className="w-[4.5rem]">No.</Column>
        <Column>What</Column>
        <Column className="hidden @lg:table-cell">Who</Column>
        <Column className="hidden @3xl:table-cell">On what</Column>
        <Column className="w-[6.5rem]">Outcome</Column>
        <Column className="hidden w-[8rem] text-right @3xl:table-cell">When</Column>
      </tr>
    </thead>
  )
}

function Column({ className = '', children }: { className?: string; children: ReactNode }) {
  return (
    <th scope="col" className={`${cell} font-medium ${className}`}>
      {children}
    </th>
  )
}

type RowProps = { entry: AuditEntry; index: number; chosen: boolean; onSelect: (seq: number) => void }

function Row({ entry, index, chosen, onSelect }: RowProps) {
  const tint = chosen ? 'bg-brass-wash' : 'hover:bg-hover'
  return (
    <tr
      aria-rowindex={index + 2}
      className={`relative h-[41px] border-b border-line/70 last:border-0 ${tint}`}
    >
      <td className={`${cell} text-muted tabular-nums`}>{entry.seq}</td>
      <td className={cell}>
        <button
          type="button"
          aria-pressed={chosen}
          onClick={() => onSelect(entry.seq)}
          className="max-w-full truncate text-left font-medium after:absolute after:inset-0 after:content-['']"
        >
          {eventText(entry.type)}
        </button>
      </td>
      <td className={`${cell} hidden @lg:table-cell`}>{entry.actor}</td>
      <td className={`${cell} hidden text-muted @3xl:table-cell`}>{entry.target}</td>
      <td className={cell}>
        <Badge look={outcomeLook[entry.outcome]} bare />
      </td>
      <td className={`${cell} hidden text-right text-xs text-muted @3xl:table-cell`}>
        <Time at={entry.at} />
      </td>
    </tr>
  )
}
