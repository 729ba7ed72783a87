import type { Confidence, Place } from './finding.ts'

/** What a detector or an assignment saw, before it is known who else saw something there. */
export type Candidate = {
  rule: string
  provider: string
  title: string
  confidence: Confidence
  /** In words for people, without the value. */
  reasons?: readonly string[]
  start: number
  end: number
  rank: number
  wrapping: Place['wrapping']
  /** Set when it is not simply the text between start and end. */
  value?: string
  quote?: string
  /** The encoded run that holds it: several values may stand in one. */
  run?: number
}

/** At one place the highest rank stands, then what is written plainly, then the longest. Sorted by place. */
export function winners(candidates: readonly Candidate[]): Candidate[] {
  if (candidates.length < 2) return [...candidates]
  const best = candidates.toSorted(
    (a, b) =>
      b.rank - a.rank ||
      Number(b.wrapping === 'none') - Number(a.wrapping === 'none') ||
      b.end - b.start - (a.end - a.start) ||
      a.start - b.start,
  )
  const chosen: Candidate[] = []
  const taken = new Map<number, Candidate[]>()
  for (const candidate of best) {
    const pages = pagesOf(candidate)
    if (pages.some((page) => taken.get(page)?.some((other) => collide(candidate, other)))) continue
    chosen.push(candidate)
    for (const page of pages) {
      const there = taken.get(page)
      if (there) there.push(candidate)
      else taken.set(page, [candidate])
    }
  }
  return chosen.sort((a, b) => a.start - b.start)
}

const collide = (a: Candidate, b: Candidate): boolean =>
  a.start < b.end && b.start < a.end && (a.run === undefined || a.run !== b.run)

/** The kilobytes that a candidate touches: overlaps are looked for only there. */
function pagesOf({ start, end }: Candidate): number[] {
  const first = start >> 10
  return Array.from({ length: ((end - 1) >> 10) - first + 1 }, (_, i) => first + i)
}
