import type { TaskView } from '@keyward/contract'
import {
  BaseEdge,
  type Edge,
  type EdgeProps,
  getSmoothStepPath,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from '@xyflow/react'
import '@xyflow/react/dist/base.css'
import './run-graph.css'
import { Maximize, ZoomIn, ZoomOut } from 'lucide-react'
import { useEffect, useMemo, useRef } from 'react'
import { hueText, taskLook } from '../../ui/badge.tsx'
import { IconButton } from '../../ui/button.tsx'
import { type Frame, frameFor, readableScale, useWidth } from './graph-frame.ts'
import { type Arrangement, arrange, arrowId, type Box, type Direction, type Placed } from './layers.ts'

const fit = { padding: '18px', maxZoom: 1 } as const

type TaskNode = Node<
  { task: TaskView; chosen: boolean; direction: Direction; onSelect: (id: string) => void },
  'task'
>
type Arrow = Edge<{ lanes: readonly Placed[]; box: Box; direction: Direction }, 'arrow'>
type Props = { tasks: TaskView[]; selected: string | undefined; onSelect: (id: string) => void }

const nodeTypes = { task: TaskCard }
const edgeTypes = { arrow: ArrowPath }

/** The run as a picture of what waits for what. It is redrawn as the tasks change. */
export function RunGraph(props: Props) {
  const outer = useRef<HTMLDivElement>(null)
  const width = useWidth(outer)
  const frame = useMemo(() => frameFor(props.tasks, width), [props.tasks, width])
  return (
    <div ref={outer} style={{ height: frame.height }}>
      {width > 0 ? (
        <ReactFlowProvider>
          <Graph {...props} frame={frame} width={width} />
        </ReactFlowProvider>
      ) : null}
    </div>
  )
}

function Graph({ tasks, selected, onSelect, frame, width }: Props & { frame: Frame; width: number }) {
  const places = useMemo(() => arrange(tasks, frame.direction, frame.box), [tasks, frame])
  const nodes = useMemo(
    () => nodesOf(tasks, selected, onSelect, frame, places),
    [tasks, selected, onSelect, frame, places],
  )
  const edges = useMemo(() => edgesOf(tasks, frame, places), [tasks, frame, places])
  const { fitView } = useReactFlow()
  const shape = `${frame.direction}:${width}:${tasks.map(({ id }) => id).join()}`
  // Beside the details of a task a large run would be too small to read: then the task and its neighbours are shown.
  const near = useMemo(
    () => (selected && frame.scale < readableScale ? neighbours(tasks, selected).join() : ''),
    [tasks, selected, frame.scale],
  )
  useEffect(() => {
    if (shape === '') return
    const nodes = near === '' ? {} : { nodes: near.split(',').map((id) => ({ id })), minZoom: readableScale }
    void fitView({ ...fit, ...nodes })
  }, [shape, near, fitView])
  return (
    <div className="relative h-full">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        fitView
        fitViewOptions={fit}
        minZoom={0.25}
        maxZoom={1.5}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        preventScrolling={false}
        zoomOnScroll={false}
        proOptions={{ hideAttribution: true }}
        aria-label="Tasks of the run and what they need"
      />
      <Zoom />
    </div>
  )
}

function nodesOf(
  tasks: TaskView[],
  selected: string | undefined,
  onSelect: (id: string) => void,
  { direction, box }: Frame,
  places: Arrangement,
): TaskNode[] {
  const byId = new Map(tasks.map((task) => [task.id, task]))
  return places.tasks.flatMap(({ id, x, y }) => {
    const task = byId.get(id)
    if (!task) return []
    const data = { task, chosen: id === selected, direction, onSelect }
    return [{ id, type: 'task', position: { x, y }, data, width: box.width, height: box.height }]
  })
}

/** A task, what it needs and what needs it. */
function neighbours(tasks: readonly TaskView[], id: string): string[] {
  const around = tasks.filter((task) => task.id === id || task.needs.includes(id)).map((task) => task.id)
  const needed = tasks.find((task) => task.id === id)?.needs ?? []
  return around.length + needed.length > 6 ? [id] : [...around, ...needed]
}

function edgesOf(tasks: TaskView[], { box, direction }: Frame, { lanes }: Arrangement): Arrow[] {
  return tasks.flatMap(({ id, needs, state }) =>
    needs.map((need) => ({
      id: arrowId(need, id),
      source: need,
      target: id,
      type: 'arrow',
      data: { lanes: lanes.get(arrowId(need, id)) ?? [], box, direction },
      animated: state === 'Running',
      className:
        state === 'Pending' || state === 'Skipped' || state === 'Cancelled' ? 'edge-ahead' : 'edge-taken',
    })),
  )
}

/** Right angles; over a layer in between, through the lane that was kept free for it. */
function ArrowPath({ data, sourceX, sourceY, targetX, targetY, ...edge }: EdgeProps<Arrow>) {
  const { lanes = [], box, direction = 'right' } = data ?? {}
  const right = direction === 'right'
  const sides = right
    ? { sourcePosition: Position.Right, targetPosition: Position.Left }
    : { sourcePosition: Position.Bottom, targetPosition: Position.Top }
  const stretches = lanes.map(({ x, y }) => {
    const { width = 0, height = 0 } = box ?? {}
    return right
      ? { from: [x, y + height / 2], to: [x + width, y + height / 2] }
      : { from: [x + width / 2, y], to: [x + width / 2, y + height] }
  })
  const ends = [...stretches.map(({ from }) => from), [targetX, targetY]]
  const starts = [[sourceX, sourceY], ...stretches.map(({ to }) => to)]
  const bends = starts.map(([fromX = 0, fromY = 0], at) => {
    const [toX = 0, toY = 0] = ends[at] ?? []
    const [path] = getSmoothStepPath({ sourceX: fromX, sourceY: fromY, targetX: toX, targetY: toY, ...sides })
    return path
  })
  const lines = stretches.map(({ from, to }) => `M${from.join()}L${to.join()}`)
  return <BaseEdge id={edge.id} path={[...bends, ...lines].join('')} />
}

function TaskCard({ data: { task, chosen, direction, onSelect } }: NodeProps<TaskNode>) {
  const look = taskLook[task.state]
  const Icon = look.icon
  return (
    <>
      <Handle
        type="target"
        position={direction === 'right' ? Position.Left : Position.Top}
        isConnectable={false}
      />
      <button
        type="button"
        aria-pressed={chosen}
        onClick={() => onSelect(task.id)}
        className={`nopan flex h-full w-full flex-col justify-center gap-1 rounded-lg border bg-surface px-3 text-left transition-colors hover:border-ink ${
          chosen ? 'border-ink shadow-[0_0_0_1px_var(--ink)]' : 'border-edge/60'
        } ${task.state === 'Skipped' || task.state === 'Cancelled' ? 'border-dashed' : ''}`}
      >
        <span className="line-clamp-2 text-[0.8125rem] leading-snug font-medium">{task.title}</span>
        <span className={`inline-flex items-center gap-1.5 text-xs font-medium ${hueText[look.hue]}`}>
          <Icon size={13} strokeWidth={2.4} className={look.moving ? 'spin' : ''} aria-hidden="true" />
          {look.text}
          {task.attempt > 1 ? <span className="font-normal text-muted">attempt {task.attempt}</span> : null}
        </span>
      </button>
      <Handle
        type="source"
        position={direction === 'right' ? Position.Right : Position.Bottom}
        isConnectable={false}
      />
    </>
  )
}

function Zoom() {
  const { zoomIn, zoomOut, fitView } = useReactFlow()
  return (
    <div className="absolute right-2 bottom-2 z-10 flex rounded-lg border border-line bg-surface p-0.5">
      <IconButton icon={ZoomOut} label="Smaller" onClick={() => void zoomOut()} />
      <IconButton icon={ZoomIn} label="Larger" onClick={() => void zoomIn()} />
      <IconButton icon={Maximize} label="Show the whole run" onClick={() => void fitView(fit)} />
    </div>
  )
}
