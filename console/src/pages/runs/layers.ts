import type { TaskView } from '@keyward/contract'

type Node = Pick<TaskView, 'id' | 'needs'>
export type Placed = { id: string; x: number; y: number }
export type Direction = 'right' | 'down'
export type Box = { width: number; height: number; gapAlong: number; gapAcross: number }

/**
 * The layer of each task: one more than the deepest task it needs, so every arrow points forward. The server refuses
 * cycles; should one come all the same, its members share a layer instead of hanging the page.
 */
export function layersOf(nodes: readonly Node[]): Node[][] {
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
  const layers = Map.groupBy(nodes, (node) => depthOf(node, new Set()))
  return untangle([...layers].sort(([a], [b]) => a - b).map(([, layer]) => layer))
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

/** Places on the canvas: layers along the direction, each centred across it. */
export function placeTasks(nodes: readonly Node[], direction: Direction, box: Box): Placed[] {
  const across = direction === 'right' ? box.height + box.gapAcross : box.width + box.gapAcross
  const along = direction === 'right' ? box.width + box.gapAlong : box.height + box.gapAlong
  return layersOf(nodes).flatMap((layer, depth) =>
    layer.map(({ id }, at) => {
      const offset = (at - (layer.length - 1) / 2) * across
      return direction === 'right' ? { id, x: depth * along, y: offset } : { id, x: offset, y: depth * along }
    }),
  )
}
