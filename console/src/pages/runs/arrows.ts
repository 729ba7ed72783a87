import type { Box, Direction, Placed } from './layers.ts'

type Point = readonly [x: number, y: number]
type Route = { from: Placed; to: Placed; lanes: readonly Placed[]; box: Box; direction: Direction }

const roundness = 8

/** An SVG path from card to card in right angles; over a layer in between, through the lane that was kept free for it. */
export function arrowPath({ from, to, lanes, box, direction }: Route): string {
  const stops = [from, ...lanes, to].map(({ x, y }) => ({
    enters: direction === 'right' ? ([x, y + box.height / 2] as const) : ([x + box.width / 2, y] as const),
    leaves:
      direction === 'right'
        ? ([x + box.width, y + box.height / 2] as const)
        : ([x + box.width / 2, y + box.height] as const),
  }))
  const bends = stops.slice(1).map(({ enters }, i) => bend(stops[i]?.leaves ?? enters, enters, direction))
  const across = stops.slice(1, -1).map(({ enters, leaves }) => `M${enters.join()}L${leaves.join()}`)
  return [...bends, ...across].join('')
}

/** Along, across in the middle, along again, with rounded corners. */
function bend([x, y]: Point, [toX, toY]: Point, direction: Direction): string {
  const right = direction === 'right'
  const aside = right ? toY - y : toX - x
  if (Math.abs(aside) < 1) return `M${x},${y}L${toX},${toY}`
  const middle = right ? (x + toX) / 2 : (y + toY) / 2
  const ahead = right ? toX - x : toY - y
  const r = Math.min(roundness, Math.abs(aside) / 2, Math.abs(ahead) / 2)
  const side = Math.sign(aside) * r
  const on = Math.sign(ahead) * r
  const at = (along: number, across: number): string => (right ? `${along},${across}` : `${across},${along}`)
  const [start, end] = right ? [y, toY] : [x, toX]
  return (
    `M${x},${y}L${at(middle - on, start)}Q${at(middle, start)} ${at(middle, start + side)}` +
    `L${at(middle, end - side)}Q${at(middle, end)} ${at(middle + on, end)}L${toX},${toY}`
  )
}
