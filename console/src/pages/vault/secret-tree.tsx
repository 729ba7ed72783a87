import type { SecretEntry } from '@keyward/contract'
import { useQueries } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { ChevronRight, Folder, FolderOpen, KeyRound } from 'lucide-react'
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react'
import { problemOf } from '../../api/index.ts'
import { secretsQuery } from '../../api/queries.ts'

type Props = {
  entries: readonly SecretEntry[]
  selected: string | undefined
  onSelect: (path: string) => void
}
/** A line of the tree as it is drawn: an entry, or what stands in place of a folder's entries. */
type Row = {
  readonly key: string
  readonly level: number
  readonly entry?: SecretEntry
  readonly place?: { readonly at: number; readonly of: number }
  readonly note?: string
}

const rowHeight = 32
const tallest = 560

/** Secrets as a tree that draws only the lines in sight. A folder reads its names when it is opened. */
export function SecretTree({ entries, selected, onSelect }: Props) {
  const [open, setOpen] = useState(() => startsOpen(selected))
  const toggle = (path: string, to?: boolean): void =>
    setOpen((before) => {
      const next = new Set(before)
      if (to ?? !before.has(path)) next.add(path)
      else next.delete(path)
      return next
    })
  const rows = useRows(entries, open)
  useOnlyFolders(rows, (path) => toggle(path, true))
  const [focused, setFocused] = useState<string>()
  const box = useRef<HTMLDivElement>(null)
  const lines = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    getItemKey: (index) => rows[index]?.key ?? index,
  })
  const wanted = focused ?? selected
  const found = rows.findIndex(({ entry }) => entry !== undefined && entry.path === wanted)
  const current = found < 0 ? rows.findIndex(({ entry }) => entry) : found

  const goTo = (index: number): void => {
    const entry = rows[index]?.entry
    if (!entry) return
    setFocused(entry.path)
    lines.scrollToIndex(index)
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${index}"]`)?.focus())
  }
  const press = (event: KeyboardEvent, index: number): void => {
    const entry = rows[index]?.entry
    if (entry && act(event.key, { rows, index, entry, open: open.has(entry.path), toggle, goTo }))
      event.preventDefault()
  }

  return (
    <div ref={box} style={{ maxHeight: tallest }} className="overflow-y-auto">
      <div role="tree" aria-label="Secrets" style={{ height: lines.getTotalSize() }} className="relative">
        {lines.getVirtualItems().map(({ index, start, key }) => {
          const row = rows[index]
          if (!row) return null
          return (
            <Line
              key={key}
              row={row}
              index={index}
              top={start}
              open={row.entry ? open.has(row.entry.path) : false}
              selected={row.entry?.path === selected}
              reachable={index === current}
              onAct={() => {
                if (!row.entry) return
                setFocused(row.entry.path)
                if (row.entry.folder) toggle(row.entry.path)
                else onSelect(row.entry.path)
              }}
              onKey={(event) => press(event, index)}
            />
          )
        })}
      </div>
    </div>
  )
}

/** The way to the selected secret. */
function startsOpen(selected: string | undefined): Set<string> {
  const parts = selected?.split('/').slice(0, -1) ?? []
  return new Set(parts.map((_, i) => `${parts.slice(0, i + 1).join('/')}/`))
}

/** A folder with nothing beside it opens by itself, once. */
function useOnlyFolders(rows: readonly Row[], open: (path: string) => void): void {
  const opened = useRef(new Set<string>())
  useEffect(() => {
    for (const { entry, place } of rows) {
      if (!entry?.folder || place?.of !== 1 || opened.current.has(entry.path)) continue
      opened.current.add(entry.path)
      open(entry.path)
    }
  })
}

function useRows(entries: readonly SecretEntry[], open: ReadonlySet<string>): Row[] {
  const folders = [...open]
  const readings = useQueries({ queries: folders.map((path) => secretsQuery(path)) })
  const byPath = new Map(folders.map((path, i) => [path, readings[i]]))
  const stamp = readings
    .map(({ dataUpdatedAt, errorUpdatedAt }) => `${dataUpdatedAt}.${errorUpdatedAt}`)
    .join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the stamp stands for the readings, which are new on every render
  return useMemo(() => rowsOf(entries, open, byPath, 1), [entries, open, stamp])
}

type Readings = ReadonlyMap<
  string,
  { data?: { items: SecretEntry[] } | undefined; error: unknown } | undefined
>

function rowsOf(
  entries: readonly SecretEntry[],
  open: ReadonlySet<string>,
  read: Readings,
  level: number,
): Row[] {
  return entries.flatMap((entry, i): Row[] => {
    const row = { key: entry.path, level, entry, place: { at: i + 1, of: entries.length } }
    if (!entry.folder || !open.has(entry.path)) return [row]
    const reading = read.get(entry.path)
    const note = (text: string): Row[] => [row, { key: `${entry.path} note`, level: level + 1, note: text }]
    if (reading?.error) return note(problemOf(reading.error).title)
    if (!reading?.data) return note('Reading…')
    if (reading.data.items.length === 0) return note('Empty')
    return [row, ...rowsOf(reading.data.items, open, read, level + 1)]
  })
}

type Moment = {
  rows: readonly Row[]
  index: number
  entry: SecretEntry
  open: boolean
  toggle: (path: string, to?: boolean) => void
  goTo: (index: number) => void
}

/** The keys of a tree: arrows walk, open and close, Home and End go to the ends. */
function act(key: string, { rows, index, entry, open, toggle, goTo }: Moment): boolean {
  const level = rows[index]?.level ?? 1
  const near = (step: 1 | -1): number => {
    let at = index + step
    while (rows[at] && !rows[at]?.entry) at += step
    return at
  }
  const parent = rows.findLastIndex((row, i) => i < index && row.entry && row.level < level)
  switch (key) {
    case 'ArrowDown':
      goTo(near(1))
      return true
    case 'ArrowUp':
      goTo(near(-1))
      return true
    case 'Home':
      goTo(0)
      return true
    case 'End':
      goTo(rows.findLastIndex((row) => row.entry))
      return true
    case 'ArrowRight':
      if (entry.folder && !open) toggle(entry.path, true)
      else goTo(near(1))
      return true
    case 'ArrowLeft':
      if (entry.folder && open) toggle(entry.path, false)
      else goTo(parent)
      return true
    default:
      return false
  }
}

type LineProps = {
  row: Row
  index: number
  top: number
  open: boolean
  selected: boolean
  reachable: boolean
  onAct: () => void
  onKey: (event: KeyboardEvent) => void
}

function Line({ row, index, top, open, selected, reachable, onAct, onKey }: LineProps) {
  const { entry, level, place, note } = row
  const style = { top, height: rowHeight, paddingLeft: 8 + (level - 1) * 18 }
  const line = 'absolute inset-x-0 flex items-center gap-2 rounded-md pr-2 text-left -outline-offset-2'
  if (!entry)
    return (
      <div style={style} className={`${line} text-muted`} role="none">
        <span className="ml-5">{note}</span>
      </div>
    )
  const Icon = entry.folder ? (open ? FolderOpen : Folder) : KeyRound
  return (
    <div
      role="treeitem"
      data-row={index}
      style={style}
      tabIndex={reachable ? 0 : -1}
      aria-level={level}
      aria-posinset={place?.at}
      aria-setsize={place?.of}
      aria-selected={selected}
      aria-expanded={entry.folder ? open : undefined}
      onClick={onAct}
      onKeyDown={(event) => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault()
          onAct()
        } else onKey(event)
      }}
      className={`${line} cursor-pointer hover:bg-hover ${selected ? 'bg-brass-wash font-medium' : ''}`}
    >
      {entry.folder ? (
        <ChevronRight
          size={14}
          className={`shrink-0 text-muted transition-transform ${open ? 'rotate-90' : ''}`}
          aria-hidden="true"
        />
      ) : (
        <span className="w-3.5 shrink-0" />
      )}
      <Icon size={15} className={`shrink-0 ${selected ? 'text-brass' : 'text-muted'}`} aria-hidden="true" />
      <span className="min-w-0 truncate" title={entry.path}>
        {lastName(entry)}
      </span>
    </div>
  )
}

function lastName({ name }: SecretEntry): string {
  return name.replace(/\/$/, '').split('/').at(-1) ?? name
}
