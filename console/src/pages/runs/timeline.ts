import type { ApprovalView, TaskView } from '@keyward/contract'
import { layersOf } from './layers.ts'

/** Milliseconds since 1970. `open`: it goes on at this moment. */
export type Span = { kind: 'waited' | 'ran'; from: number; to: number; open: boolean }
export type Lane = { task: TaskView; spans: Span[] }
/** A stretch of the axis. A folded one is drawn much shorter than it was, because nothing ran in it. Places are shares of the width. */
export type Piece = { from: number; to: number; left: number; right: number; folded: boolean }
type Asked = Pick<ApprovalView, 'requestedAt' | 'decidedAt'>

/** In the order in which the tasks can be done; those that have not begun have no spans. */
export function lanesOf(
  tasks: readonly TaskView[],
  approvals: ReadonlyMap<string, Asked>,
  now: number,
): Lane[] {
  const byId = new Map(tasks.map((task) => [task.id, task]))
  const ordered = layersOf(tasks).flatMap((layer) => layer.flatMap(({ id }) => byId.get(id) ?? []))
  return ordered.map((task) => {
    const asked = approvals.get(task.approvalId ?? '')
    const waited = asked ? [spanOf('waited', asked.requestedAt, asked.decidedAt, now)] : []
    const ran = task.startedAt ? [spanOf('ran', task.startedAt, task.finishedAt, now)] : []
    return { task, spans: [...waited, ...ran] }
  })
}

function spanOf(kind: Span['kind'], start: string, end: string | null, now: number): Span {
  const from = Date.parse(start)
  const to = end === null ? now : Date.parse(end)
  return { kind, from, to: Math.max(from, to), open: end === null }
}

/** What a folded stretch takes of the width. */
const foldedShare = 0.12
/** A pause is folded when it lasts this many times as long as all the work. */
const longPause = 2

/**
 * The axis of a run. It may have worked for a minute and waited for a person for three days: then the wait is folded, so that
 * the work can still be seen.
 */
export function axisOf(lanes: readonly Lane[]): Piece[] {
  const spans = lanes.flatMap((lane) => lane.spans)
  if (spans.length === 0) return []
  const start = Math.min(...spans.map(({ from }) => from))
  const end = Math.max(start + 1, ...spans.map(({ to }) => to))
  const busy = united(spans.filter(({ kind }) => kind === 'ran'))
  const work = busy.reduce((sum, { from, to }) => sum + to - from, 0)
  const pauses = pausesOf(busy, start, end).filter(({ from, to }) => work > 0 && to - from > work * longPause)
  const raw = stretches(pauses, start, end)
  const open = raw.reduce((sum, { from, to, folded }) => sum + (folded ? 0 : to - from), 0)
  const room = 1 - pauses.length * Math.min(foldedShare, 0.5 / Math.max(1, pauses.length))
  const fold = pauses.length > 0 ? (1 - room) / pauses.length : 0
  let left = 0
  return raw.map((stretch) => {
    const width = stretch.folded ? fold : (room * (stretch.to - stretch.from)) / open
    const piece = { ...stretch, left, right: left + width }
    left = piece.right
    return piece
  })
}

type Stretch = { from: number; to: number }

function united(spans: readonly Stretch[]): Stretch[] {
  const merged: Stretch[] = []
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last && from <= last.to) last.to = Math.max(last.to, to)
    else merged.push({ from, to })
  }
  return merged
}

function pausesOf(busy: readonly Stretch[], start: number, end: number): Stretch[] {
  const edges = [start, ...busy.flatMap(({ from, to }) => [from, to]), end]
  return Array.from({ length: edges.length / 2 }, (_, at) => ({
    from: edges[2 * at] ?? start,
    to: edges[2 * at + 1] ?? end,
  }))
}

function stretches(
  pauses: readonly Stretch[],
  start: number,
  end: number,
): (Stretch & { folded: boolean })[] {
  const all: (Stretch & { folded: boolean })[] = []
  let at = start
  for (const { from, to } of pauses) {
    if (from > at) all.push({ from: at, to: from, folded: false })
    all.push({ from, to, folded: true })
    at = to
  }
  if (at < end) all.push({ from: at, to: end, folded: false })
  return all
}

/** Where a moment lies on the axis, as a share of its width. */
export function placeOf(moment: number, axis: readonly Piece[]): number {
  const piece = axis.find(({ to }) => moment <= to) ?? axis.at(-1)
  if (!piece) return 0
  const share = (moment - piece.from) / Math.max(1, piece.to - piece.from)
  return piece.left + (piece.right - piece.left) * Math.min(1, Math.max(0, share))
}

const niceSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]

/** `seconds`: since the run began, or, later on, since the folded stretch before it ended. */
export type Tick = { seconds: number; place: number; later: boolean }

/** Round numbers of seconds, about `count` of them, none of them in a folded stretch. */
export function ticksOf(axis: readonly Piece[], count: number): Tick[] {
  const open = axis.filter(({ folded }) => !folded)
  const seconds = open.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0)
  const step = niceSteps.find((size) => seconds / size <= count) ?? Math.ceil(seconds / count)
  return open.flatMap(({ from, to }) => {
    const later = from !== axis[0]?.from
    const amount = Math.floor((to - from) / 1000 / step) + (later ? 0 : 1)
    return Array.from({ length: amount }, (_, at) => {
      const own = (later ? at + 1 : at) * step
      return { seconds: own, place: placeOf(from + own * 1000, axis), later }
    })
  })
}
