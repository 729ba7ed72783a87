import type { FindingOrder, FindingView, FolderCount, TrendDay } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import { findingViewOf } from './findings-store.ts'
import type { FindingsNeeds } from './needs.ts'
import {
  type FindingFilter,
  findingsPage,
  movesByDay,
  type OpenPlace,
  openNow,
  openPlaces,
  type Position,
  tally,
} from './overview-store.ts'
import { firstPlacesOf } from './places-store.ts'

type Summary = {
  states: Partial<Record<FindingView['state'], number>>
  confidences: { name: string; count: number }[]
  rules: { name: string; count: number }[]
  providers: { name: string; count: number }[]
  projects: { name: string; count: number }[]
}

export type Overview = {
  page(
    query: FindingFilter & { cursor?: string | undefined; limit: number; sort?: FindingOrder },
  ): Promise<{ items: FindingView[]; next: string | null }>
  summary(filter: FindingFilter): Promise<Summary>
  /** One entry a day, oldest first; the last one is today. */
  trend(query: { project?: string | undefined; days: number }): Promise<{ days: TrendDay[] }>
  /** What lies directly in a folder and holds values that nobody has dealt with, most first. */
  folders(query: {
    project?: string | undefined
    folder: string
  }): Promise<{ folder: string; items: FolderCount[] }>
}

const placesInList = 20
const mostFolders = 200

export function createOverview({ store, clock }: Pick<FindingsNeeds, 'store' | 'clock'>): Overview {
  return {
    async page({ cursor, limit, sort = 'newest', ...filter }) {
      const after = cursor === undefined ? undefined : positionOf(cursor)
      const rows = await findingsPage(store, { ...filter, sort, after, limit })
      const places = Map.groupBy(
        await firstPlacesOf(
          store,
          rows.map(({ id }) => id),
          placesInList,
        ),
        (place) => place.finding_id,
      )
      const last = rows.at(-1)
      return {
        items: rows.map((row) => findingViewOf(row, places.get(row.id) ?? [])),
        next: last && rows.length === limit ? cursorOf({ value: last.position, id: last.id }) : null,
      }
    },
    async summary(filter) {
      const [states, confidences, rules, providers, projects] = await Promise.all([
        tally(store, 'state', filter),
        tally(store, 'confidence', filter),
        tally(store, 'rule', filter),
        tally(store, 'provider', filter),
        tally(store, 'project', filter),
      ])
      const byState = Object.fromEntries(states.map(({ name, count }) => [name, count]))
      return { states: byState, confidences, rules, providers, projects }
    },
    async trend({ project, days }) {
      const today = Math.floor(clock.now().getTime() / dayMilliseconds)
      const first = today - days + 1
      const moves = await movesByDay(store, first, project)
      let open = await openNow(store, project)
      const shown: TrendDay[] = []
      for (let day = today; day >= first; day--) {
        const own = moves.filter((move) => move.day === day)
        const count = (fits: (move: (typeof own)[number]) => boolean): number =>
          own.filter(fits).reduce((sum, { n }) => sum + n, 0)
        const into = (state: string): number => count(({ to_state }) => to_state === state)
        const opened = count((move) => isOpen(move.to_state) && !isOpen(move.from_state))
        shown.push({
          day: new Date(day * dayMilliseconds).toISOString().slice(0, 10),
          open,
          opened,
          fixed: into('fixed'),
          imported: into('imported'),
          ignored: into('ignored'),
        })
        // Backwards: before this day, what left was still open, and what came was not.
        open -= opened - count((move) => isOpen(move.from_state) && !isOpen(move.to_state))
      }
      return { days: shown.reverse() }
    },
    async folders({ project, folder }) {
      const inside = folder === '' ? '' : `${folder.replace(/\/+$/, '')}/`
      const items = countsIn(await openPlaces(store, project), inside)
      return { folder: inside.slice(0, -1), items: items.slice(0, mostFolders) }
    },
  }
}

const dayMilliseconds = 86_400_000
const isOpen = (state: string | null): boolean =>
  state === 'open' || state === 'restored' || state === 'importing'

function countsIn(places: readonly OpenPlace[], inside: string): FolderCount[] {
  const children = new Map<string, { kind: FolderCount['kind']; findings: Map<string, OpenPlace> }>()
  for (const place of places) {
    if (!place.file.startsWith(inside)) continue
    const rest = place.file.slice(inside.length)
    const end = rest.search(/[/!]/)
    const path = `${inside}${end === -1 ? rest : rest.slice(0, end)}`
    const kind = end !== -1 && rest[end] === '/' ? 'folder' : 'file'
    const child = children.get(path) ?? { kind, findings: new Map() }
    child.findings.set(place.id, place)
    children.set(path, child)
  }
  return [...children]
    .map(([path, { kind, findings }]) => {
      const of = (confidence: string): number =>
        [...findings.values()].filter((place) => place.confidence === confidence).length
      return { path, kind, findings: findings.size, high: of('high'), medium: of('medium'), low: of('low') }
    })
    .sort((a, b) => b.findings - a.findings || b.high - a.high || (a.path < b.path ? -1 : 1))
}

/** Findings by id are their own cursor: `fnd_…`, or `<value>.fnd_…` in another order. */
const cursorOf = ({ value, id }: Position): string => `${value}.${id}`

function positionOf(cursor: string): Position {
  const [, value, id] = /^(\d{1,16})\.([\w-]{1,60})$/.exec(cursor) ?? []
  if (value === undefined || id === undefined)
    throw new AppError('request.invalid', 'the cursor is not one that a list of findings gave')
  return { value: Number(value), id }
}
