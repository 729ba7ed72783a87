import type { TaskView } from '@keyward/contract'

type Node = Pick<TaskView, 'id' | 'needs'>
export type Placed = { id: string; x: number; y: number }
export type Direction = 'right' | 'down'
export type Box = { width: number; height: number; gapAlong: number; gapAcross: number }
/** `lanes`: the free places that an arrow passes through on its way over several layers, by `arrowId`. */
export type Arrangement = { tasks: Placed[]; lanes: Map<string, Placed[]> }

export const arrowId = (need: string, task: string): string => `${need}→${task}`

/**
 * The layer of each task: one more than the deepest task it needs, so every arrow points forward. The server refuses
 * cycles; should one come all the same, its members share a layer instead of hanging the page.
 */
export function layersOf(nodes: readonly Node[]): Node[][] {
  const depths = depthsOf(nodes)
  const layers = Map.groupBy(nodes, ({ id }) => depths.get(id) ?? 0)
  return untangle([...layers].sort(([a], [b]) => a - b).map(([, layer]) => layer))
}

function depthsOf(nodes: readonly Node[]): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const depths = new Map<string, number>()
  const depthOf = (node: Node, trail: ReadonlySet<string>): number => {
    const known = depths.get(node.id)
    if (known !== undefined) return known
    const next = new Set(trail).add(node.id)
    const needed = node.needs.flatMap((id) => (next.has(id) ? [] : (byId.get(id) ?? [])))
    const depth = needed.reduce((deepest, need) => Math.max(deepest, depthOf(need, next) + 1), 0)
    depths.set(node.id, depth)
    return depth
  }
  for (const node of nodes) depthOf(node, new Set())
  return depths
}

/** Orders each layer by the mean place of what its tasks need: few arrows cross. */
function untangle(layers: Node[][]): Node[][] {
  const places = new Map<string, number>()
  return layers.map((layer) => {
    const pull = new Map(layer.map((node, at) => [node.id, meanPlace(node, places) ?? at]))
    const ordered = layer.toSorted((a, b) => (pull.get(a.id) ?? 0) - (pull.get(b.id) ?? 0))
    ordered.forEach((node, at) => {
      places.set(node.id, at - (ordered.length - 1) / 2)
    })
    return ordered
  })
}

function meanPlace({ needs }: Node, places: ReadonlyMap<string, number>): number | undefined {
  const known = needs.flatMap((id) => places.get(id) ?? [])
  return known.length === 0 ? undefined : known.reduce((sum, place) => sum + place, 0) / known.length
}

const laneOf = (task: string, depth: number): string => `⇢${task}@${depth}`

/** The tasks, and in each layer that an arrow passes over a lane for it: all long arrows to one task share its lanes. */
export function withLanes(nodes: readonly Node[]): Node[] {
  const depths = depthsOf(nodes)
  const depth = (id: string): number => depths.get(id) ?? 0
  const lanes = new Map<string, string[]>()
  const direct = nodes.map(({ id, needs }) => ({
    id,
    needs: needs.map((need) => {
      if (!depths.has(need)) return need
      for (let at = depth(need) + 1; at < depth(id); at += 1) {
        const before = at === depth(need) + 1 ? need : laneOf(id, at - 1)
        const lane = laneOf(id, at)
        lanes.set(lane, [...(lanes.get(lane) ?? []), before])
      }
      return depth(id) - depth(need) > 1 ? laneOf(id, depth(id) - 1) : need
    }),
  }))
  return [...direct, ...[...lanes].map(([id, needs]) => ({ id, needs: [...new Set(needs)] }))]
}

/** Places on the canvas: layers along the direction, each centred across it. */
export function arrange(nodes: readonly Node[], direction: Direction, box: Box): Arrangement {
  const across = direction === 'right' ? box.height + box.gapAcross : box.width + box.gapAcross
  const along = direction === 'right' ? box.width + box.gapAlong : box.height + box.gapAlong
  const spots = new Map(
    layersOf(withLanes(nodes)).flatMap((layer, depth) =>
      layer.map(({ id }, at): [string, Placed] => {
        const offset = (at - (layer.length - 1) / 2) * across
        const [x, y] = direction === 'right' ? [depth * along, offset] : [offset, depth * along]
        return [id, { id, x, y }]
      }),
    ),
  )
  const depths = depthsOf(nodes)
  const lanes = nodes.flatMap(({ id, needs }) =>
    needs.map((need): [string, Placed[]] => {
      const between = Array.from(
        { length: Math.max(0, (depths.get(id) ?? 0) - (depths.get(need) ?? 0) - 1) },
        (_, at) => spots.get(laneOf(id, (depths.get(need) ?? 0) + 1 + at)),
      )
      return [arrowId(need, id), between.filter((spot) => spot !== undefined)]
    }),
  )
  return { tasks: nodes.flatMap(({ id }) => spots.get(id) ?? []), lanes: new Map(lanes) }
}
