import type { TaskView } from '@keyward/contract'
import './run-graph.css'
import { Maximize, ZoomIn, ZoomOut } from 'lucide-react'
import { type PointerEvent, type RefObject, useEffect, useMemo, useRef, useState } from 'react'
import { hueText, type Look, taskLook } from '../../ui/badge.tsx'
import { IconButton } from '../../ui/button.tsx'
import { useWidth } from '../../ui/use-width.ts'
import { arrowPath } from './arrows.ts'
import { type Frame, frameFor, readableScale } from './graph-frame.ts'
import { arrange, arrowId, type Placed } from './layers.ts'

/** A task of a run, or of a plan that has not run: then it has no state. */
type Drawn = Pick<TaskView, 'id' | 'title' | 'needs'> & Partial<Pick<TaskView, 'state' | 'attempt'>>
type Props = {
  tasks: readonly Drawn[]
  /** What stands below a title; the task's state unless told. */
  lookOf?: (task: Drawn) => Look
  selected: string | undefined
  onSelect: (id: string) => void
}

const stateOf = ({ state }: Drawn): TaskView['state'] => state ?? 'Pending'
const stateLook = (task: Drawn): Look => taskLook[stateOf(task)]

const padding = 18
const step = 1.2
const [smallest, largest] = [0.25, 1.5]

/** The run as a picture of what waits for what. It is redrawn as the tasks change. */
export function RunGraph(props: Props) {
  const outer = useRef<HTMLDivElement>(null)
  const width = useWidth(outer)
  const frame = useMemo(() => frameFor(props.tasks, width), [props.tasks, width])
  return (
    <div ref={outer} style={{ height: frame.height }} className="relative">
      {width > 0 ? <Graph {...props} frame={frame} width={width} /> : null}
    </div>
  )
}

function Graph({
  tasks,
  lookOf = stateLook,
  selected,
  onSelect,
  frame,
  width,
}: Props & { frame: Frame; width: number }) {
  const picture = useMemo(() => pictureOf(tasks, frame), [tasks, frame])
  const fitting = Math.min(1, width / picture.width, frame.height / picture.height)
  const [chosenScale, setChosenScale] = useState<number>()
  // Beside the details of a task a large run would be too small to read: then that task is brought into sight.
  const near = selected !== undefined && fitting < readableScale
  const scale = chosenScale ?? (near ? readableScale : fitting)
  const scroller = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (near) scrollTo(scroller, selected, picture.places, frame, scale)
  }, [near, selected, picture, frame, scale])
  const zoom = (by: number): void => setChosenScale(Math.min(largest, Math.max(smallest, scale * by)))
  const [above, before] = [
    Math.max(0, (frame.height - picture.height * scale) / 2),
    Math.max(0, (width - picture.width * scale) / 2),
  ]
  return (
    <>
      <section
        ref={scroller}
        aria-label="Tasks of the run and what they need"
        className="h-full cursor-grab overflow-auto active:cursor-grabbing"
        onPointerDown={dragFrom(scroller)}
      >
        <div style={{ width: picture.width * scale + before, height: picture.height * scale + above }}>
          <div
            className="relative origin-top-left"
            style={{
              width: picture.width,
              height: picture.height,
              transform: `translate(${before}px, ${above}px) scale(${scale})`,
            }}
          >
            <svg
              width={picture.width}
              height={picture.height}
              aria-hidden="true"
              className="pointer-events-none absolute inset-0"
            >
              {picture.arrows.map(({ id, path, style }) => (
                <path key={id} d={path} className={`arrow ${style}`} />
              ))}
            </svg>
            {tasks.map((task) => {
              const place = picture.places.get(task.id)
              if (!place) return null
              const { x: left, y: top } = place
              return (
                <div
                  key={task.id}
                  data-task={task.id}
                  className="absolute"
                  style={{ left, top, ...sizeOf(frame) }}
                >
                  <TaskCard
                    task={task}
                    look={lookOf(task)}
                    chosen={task.id === selected}
                    onSelect={onSelect}
                  />
                </div>
              )
            })}
          </div>
        </div>
      </section>
      <div className="absolute right-2 bottom-2 z-10 flex rounded-lg border border-line bg-surface p-0.5">
        <IconButton icon={ZoomOut} label="Smaller" onClick={() => zoom(1 / step)} />
        <IconButton icon={ZoomIn} label="Larger" onClick={() => zoom(step)} />
        <IconButton icon={Maximize} label="Show the whole run" onClick={() => setChosenScale(fitting)} />
      </div>
    </>
  )
}

const sizeOf = ({ box: { width, height } }: Frame) => ({ width, height })

type Picture = {
  width: number
  height: number
  places: ReadonlyMap<string, Placed>
  arrows: { id: string; path: string; style: string }[]
}

/** Everything in the picture's own pixels, from its upper left corner on. */
function pictureOf(tasks: readonly Drawn[], { box, direction }: Frame): Picture {
  const { tasks: spots, lanes } = arrange(tasks, direction, box)
  const everything = [...spots, ...[...lanes.values()].flat()]
  const left = Math.min(0, ...everything.map(({ x }) => x)) - padding
  const top = Math.min(0, ...everything.map(({ y }) => y)) - padding
  const moved = ({ id, x, y }: Placed): Placed => ({ id, x: x - left, y: y - top })
  const places = new Map(spots.map((spot) => [spot.id, moved(spot)]))
  const arrows = tasks.flatMap((task) =>
    task.needs.flatMap((need) => {
      const { id } = task
      const [from, to] = [places.get(need), places.get(id)]
      if (!from || !to) return []
      const between = (lanes.get(arrowId(need, id)) ?? []).map(moved)
      const path = arrowPath({ from, to, lanes: between, box, direction })
      return [{ id: arrowId(need, id), path, style: arrowStyle(stateOf(task)) }]
    }),
  )
  return {
    width: Math.max(0, ...everything.map(({ x }) => x - left)) + box.width + padding,
    height: Math.max(0, ...everything.map(({ y }) => y - top)) + box.height + padding,
    places,
    arrows,
  }
}

function arrowStyle(state: TaskView['state']): string {
  if (state === 'Running') return 'arrow-busy'
  return state === 'Pending' || state === 'Skipped' || state === 'Cancelled' ? 'arrow-ahead' : ''
}

function scrollTo(
  scroller: RefObject<HTMLElement | null>,
  task: string | undefined,
  places: Picture['places'],
  { box }: Frame,
  scale: number,
): void {
  const place = places.get(task ?? '')
  const view = scroller.current
  if (!place || !view) return
  view.scrollLeft = (place.x + box.width / 2) * scale - view.clientWidth / 2
  view.scrollTop = (place.y + box.height / 2) * scale - view.clientHeight / 2
}

/** A mouse drags the picture by its ground; fingers and wheels scroll it by themselves. */
const dragFrom = (scroller: RefObject<HTMLElement | null>) => (event: PointerEvent) => {
  const view = scroller.current
  const onCard = event.target instanceof Element && event.target.closest('button') !== null
  if (!view || onCard || event.pointerType !== 'mouse' || event.button !== 0) return
  const [left, top] = [view.scrollLeft + event.clientX, view.scrollTop + event.clientY]
  const ending = new AbortController()
  const move = ({ clientX, clientY }: globalThis.PointerEvent): void => {
    view.scrollLeft = left - clientX
    view.scrollTop = top - clientY
  }
  window.addEventListener('pointermove', move, { signal: ending.signal })
  window.addEventListener('pointerup', () => ending.abort(), { signal: ending.signal })
}

type CardProps = { task: Drawn; look: Look; chosen: boolean; onSelect: (id: string) => void }

function TaskCard({ task, look, chosen, onSelect }: CardProps) {
  const { attempt = 0 } = task
  const Icon = look.icon
  return (
    <button
      type="button"
      aria-pressed={chosen}
      onClick={() => onSelect(task.id)}
      className={`flex h-full w-full flex-col justify-center gap-1 rounded-lg border bg-surface px-3 text-left transition-colors hover:border-ink ${
        chosen ? 'border-ink shadow-[0_0_0_1px_var(--ink)]' : 'border-edge/60'
      } ${task.state === 'Skipped' || task.state === 'Cancelled' ? 'border-dashed' : ''}`}
    >
      <span className="line-clamp-2 text-[0.8125rem] leading-snug font-medium">{task.title}</span>
      <span className={`inline-flex items-center gap-1.5 text-xs font-medium ${hueText[look.hue]}`}>
        <Icon size={13} strokeWidth={2.4} className={look.moving ? 'spin' : ''} aria-hidden="true" />
        {look.text}
        {attempt > 1 ? <span className="font-normal text-muted">attempt {attempt}</span> : null}
      </span>
    </button>
  )
}
