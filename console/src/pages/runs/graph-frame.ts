import type { TaskView } from '@keyward/contract'
import { type Box, type Direction, layersOf, withLanes } from './layers.ts'

/** `scale`: how much smaller than life the whole picture is. */
export type Frame = { direction: Direction; box: Box; height: number; scale: number }

const comfortable = 0.8
/** Below it the words on the cards cannot be read. */
export const readableScale = 0.6
const margin = 48
const shortest = 260
const narrowest = 132

/**
 * How to lay a run out in a given width so that its text stays readable: along the lines of writing when it fits, downwards
 * otherwise, and as high as it needs to be. The page scrolls, not the picture.
 */
export function frameFor(tasks: readonly Pick<TaskView, 'id' | 'needs'>[], width: number): Frame {
  const layers = layersOf(withLanes(tasks))
  const broadest = Math.max(1, ...layers.map(({ length }) => length))
  const box: Box = { width: 212, height: 76, gapAlong: 48, gapAcross: 24 }
  const length = layers.length * (box.width + box.gapAlong) + margin
  const scale = Math.min(1, width / length)
  const downwards = Math.min(1, width / (broadest * (narrowest + 16) + margin))
  if (scale >= comfortable || scale >= downwards) {
    const height = broadest * (box.height + box.gapAcross) * scale + 2 * margin
    return { direction: 'right', box, height: Math.max(shortest, height), scale }
  }
  const column = Math.floor((width - margin) / broadest) - 16
  const narrow: Box = {
    width: Math.min(280, Math.max(narrowest, column)),
    height: column < 180 ? 104 : 72,
    gapAlong: 36,
    gapAcross: 16,
  }
  return {
    direction: 'down',
    box: narrow,
    height: layers.length * (narrow.height + narrow.gapAlong) + margin,
    scale: downwards,
  }
}
