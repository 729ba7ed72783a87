import { type Expression, parseExpression } from './expression.ts'

/**
 * Why an expression may take much longer than its input is long, or nothing when it cannot.
 *
 * An expression that fails tries every way of reading what it has read. The number of ways grows with the power of the
 * length when one loop can read the same text in two ways, and with a product when two loops, one after the other, can
 * share the same text. The first is refused; the second is, when the product is large. Expressions run in windows of a few
 * hundred bytes, so a loop never counts for more.
 */
export function whySlow(pattern: RegExp): string | undefined {
  let expression: Expression
  try {
    expression = parseExpression(pattern)
  } catch (error) {
    return error instanceof Error ? error.message : 'it cannot be judged'
  }
  return [expression, ...looksIn(expression)].map(judge).find((reason) => reason !== undefined)
}

const windowBytes = 640
const mostWays = 10_000
const mostPositions = 400

const exponential =
  'a repetition can read the same text in several ways, so its time may double with every character'
const tooMany =
  'repetitions that follow each other can share the same text in too many ways: give them small bounds, such as {0,32}'

/** A place in the expression that reads one character. */
type Position = {
  readonly set: Uint8Array
  /** Where reading can go on, and in how many ways. */
  readonly next: Map<number, number>
  /** How often the loops around it go round at most. */
  readonly rounds: number
}

/** A part of the expression: where it can begin and end, and whether it can read nothing. */
type Part = {
  readonly first: readonly number[]
  readonly last: readonly number[]
  readonly nullable: boolean
}

type Drawn = { readonly positions: Position[]; refusal?: string }

function judge(expression: Expression): string | undefined {
  const drawn: Drawn = { positions: [] }
  draw(expression, drawn, 1)
  if (drawn.refusal !== undefined) return drawn.refusal
  const { positions } = drawn
  if (positions.length > mostPositions) return 'it is too long to be judged'
  const loopOf = loopsAmong(positions)
  if (readsTwice(positions, loopOf)) return exponential
  return waysOf(positions, loopOf) > mostWays ? tooMany : undefined
}

const nothing: Part = { first: [], last: [], nullable: true }

function draw(expression: Expression, drawn: Drawn, rounds: number): Part {
  switch (expression.kind) {
    case 'empty':
    case 'look':
      return nothing
    case 'character': {
      const at = drawn.positions.push({ set: expression.set, next: new Map(), rounds }) - 1
      return { first: [at], last: [at], nullable: false }
    }
    case 'choice': {
      const parts = expression.parts.map((part) => draw(part, drawn, rounds))
      return {
        first: parts.flatMap(({ first }) => first),
        last: parts.flatMap(({ last }) => last),
        nullable: parts.some(({ nullable }) => nullable),
      }
    }
    case 'sequence':
      return expression.parts
        .map((part) => draw(part, drawn, rounds))
        .reduce((before, after) => joined(before, after, drawn), nothing)
    case 'repeat':
      return drawRepeat(expression, drawn, rounds)
  }
}

function joined(before: Part, after: Part, drawn: Drawn): Part {
  connect(before.last, after.first, drawn)
  return {
    first: before.nullable ? [...before.first, ...after.first] : before.first,
    last: after.nullable ? [...before.last, ...after.last] : after.last,
    nullable: before.nullable && after.nullable,
  }
}

function connect(from: readonly number[], to: readonly number[], { positions }: Drawn): void {
  for (const source of from) {
    const next = positions[source]?.next
    for (const target of to) next?.set(target, (next.get(target) ?? 0) + 1)
  }
}

function drawRepeat(
  { part, least, most }: Extract<Expression, { kind: 'repeat' }>,
  drawn: Drawn,
  rounds: number,
): Part {
  if (most === 0) return nothing
  // So often exactly, each time as long: there is one way to read it, as there is for one round.
  const fixed = least === most && lengthOf(part) !== undefined
  const loops = most > 1 && !fixed
  const once = draw(part, drawn, loops ? Math.min(windowBytes, rounds * most) : rounds)
  if (loops && once.nullable) drawn.refusal ??= 'a repetition repeats what may be empty'
  if (loops) connect(once.last, once.first, drawn)
  return least === 0 ? { ...once, nullable: true } : once
}

/** How many characters it reads, when that is always the same. */
function lengthOf(expression: Expression): number | undefined {
  switch (expression.kind) {
    case 'empty':
    case 'look':
      return 0
    case 'character':
      return 1
    case 'repeat': {
      const length = lengthOf(expression.part)
      return length !== undefined && expression.least === expression.most
        ? length * expression.least
        : undefined
    }
    case 'sequence': {
      const lengths = expression.parts.map(lengthOf)
      return lengths.every((length) => length !== undefined) ? sum(lengths) : undefined
    }
    case 'choice': {
      const lengths = new Set(expression.parts.map(lengthOf))
      return lengths.size === 1 ? [...lengths][0] : undefined
    }
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function* looksIn(expression: Expression): Iterable<Expression> {
  if (expression.kind === 'look') yield expression.part
  if ('part' in expression) yield* looksIn(expression.part)
  if ('parts' in expression) for (const part of expression.parts) yield* looksIn(part)
}

/** For each position the number of its loop: those that can be reached from each other share one. */
function loopsAmong(positions: readonly Position[]): number[] {
  const reach = positions.map(({ next }) =>
    reachedFrom([...next.keys()], (at) => positions[at]?.next.keys() ?? []),
  )
  return positions.map((_, at) =>
    reach[at]?.has(at)
      ? positions.findIndex((_, other) => reach[at]?.has(other) && reach[other]?.has(at))
      : -1,
  )
}

function reachedFrom(start: Iterable<number>, nextOf: (at: number) => Iterable<number>): Set<number> {
  const reached = new Set(start)
  // A set that grows while it is walked is walked to its new end.
  for (const at of reached) for (const next of nextOf(at)) reached.add(next)
  return reached
}

/** Whether a loop has two ways around for the same text: then each round doubles the ways. */
function readsTwice(positions: readonly Position[], loopOf: readonly number[]): boolean {
  const loops = new Set(loopOf.filter((loop) => loop >= 0))
  return [...loops].some((loop) => {
    const members = [...positions.keys()].filter((at) => loopOf[at] === loop)
    return twoWaysAround(members, positions, loopOf)
  })
}

function twoWaysAround(
  members: readonly number[],
  positions: readonly Position[],
  loopOf: readonly number[],
): boolean {
  const size = positions.length
  const nextOf = (at: number): [number, number][] =>
    [...(positions[at]?.next ?? [])].filter(([next]) => loopOf[next] === loopOf[at])
  if (members.some((at) => nextOf(at).some(([, ways]) => ways > 1))) return true
  const forward = (pair: number): number[] => {
    const lefts = nextOf(Math.floor(pair / size))
    const rights = nextOf(pair % size)
    return lefts.flatMap(([left]) =>
      rights.filter(([right]) => share(positions, left, right)).map(([right]) => left * size + right),
    )
  }
  const pairs = reachedFrom(
    members.map((at) => at * size + at),
    forward,
  )
  const split = [...pairs].filter((pair) => Math.floor(pair / size) !== pair % size)
  // From apart to together again: on the way back to where both began.
  return split.some((pair) =>
    [...reachedFrom([pair], forward)].some((other) => Math.floor(other / size) === other % size),
  )
}

function share(positions: readonly Position[], left: number, right: number): boolean {
  const one = positions[left]?.set
  const other = positions[right]?.set
  return one?.some((fits, code) => fits === 1 && other?.[code] === 1) ?? false
}

type Loop = { readonly members: readonly number[]; readonly set: Uint8Array; readonly rounds: number }

/** In how many ways loops that follow each other can share one text. */
function waysOf(positions: readonly Position[], loopOf: readonly number[]): number {
  const loops = new Map<number, Loop>()
  for (const number of new Set(loopOf.filter((loop) => loop >= 0))) {
    const members = [...positions.keys()].filter((at) => loopOf[at] === number)
    const inside = members.flatMap((at) => positions[at] ?? [])
    const set = Uint8Array.from({ length: 256 }, (_, code) =>
      inside.some((one) => one.set[code] === 1) ? 1 : 0,
    )
    loops.set(number, { members, set, rounds: Math.max(...inside.map(({ rounds }) => rounds)) })
  }
  const known = new Map<number, number>()
  const waysFrom = (number: number): number => {
    const before = known.get(number)
    if (before !== undefined) return before
    const loop = loops.get(number)
    if (!loop) return 1
    const after = [...loops.keys()].filter(
      (other) => other !== number && sharesWith(loop, loops.get(other), positions),
    )
    const ways = loop.rounds * Math.max(1, ...after.map(waysFrom))
    known.set(number, ways)
    return ways
  }
  return Math.max(1, ...[...loops.keys()].map(waysFrom))
}

/** Whether text that the first loop reads can lead into the second one, as text of both. */
function sharesWith(first: Loop, second: Loop | undefined, positions: readonly Position[]): boolean {
  if (!second) return false
  const both = first.set.map((fits, code) => (second.set[code] === 1 ? fits : 0))
  const readable = (at: number): boolean =>
    both.some((fits, code) => fits === 1 && positions[at]?.set[code] === 1)
  const nextOf = (at: number): number[] => [...(positions[at]?.next.keys() ?? [])].filter(readable)
  const reached = reachedFrom(first.members.flatMap(nextOf), nextOf)
  return second.members.some((at) => reached.has(at))
}
