import type { Clock } from '../core/index.ts'

// Sandboxes that are started before anybody needs them. Each is used once, for one task, like any other.

/** One that waits. */
export type Waiting = {
  isAlive(): boolean
  /** Ends it, with all that it has on this machine. */
  discard(): Promise<void>
}

type Needs<Shape, One> = {
  clock: Clock
  /** How many wait at once, of all kinds together. */
  most: number
  /** Memory that the machine could still give, in bytes. */
  availableBytes(): number
  start(shape: Shape): Promise<One>
}

export type Pool<Shape, One> = {
  /** One that waits for a run of this kind, which is the caller's from now on. */
  take(kind: string): One | undefined
  /** Says that a run of this kind has begun: others like it are expected, as many as have run at the same time. */
  expect(kind: string, shape: Shape): void
  /** Says that a run of this kind has ended. */
  ended(kind: string): void
  /** Starts one now. Does nothing where there is no room for it. */
  add(kind: string, shape: Shape): Promise<void>
  waiting(): number
  /** Ends those that wait; nothing is started from now on. */
  close(): Promise<void>
}

/** The run that has just begun comes first. */
const pauseMs = 500
/** One that nobody has needed for so long is ended. */
const idleMs = 10 * 60_000
/** Memory that is left to everybody else. */
const reserveBytes = 1024 ** 3

type Kept<One> = { kind: string; one: One; cancel(): void }

export function createPool<Shape, One extends Waiting>({
  clock,
  most,
  availableBytes,
  start,
}: Needs<Shape, One>): Pool<Shape, One> {
  /** The oldest first. */
  let kept: Kept<One>[] = []
  const running = new Map<string, number>()
  const coming = new Map<string, number>()
  const count = (numbers: Map<string, number>, kind: string, change: number) => {
    const number = (numbers.get(kind) ?? 0) + change
    if (number > 0) numbers.set(kind, number)
    else numbers.delete(kind)
    return number
  }
  let closed = false

  function drop(dropped: Kept<One>): Promise<void> {
    kept = kept.filter((other) => other !== dropped)
    dropped.cancel()
    return dropped.one.discard().catch(() => undefined)
  }

  function living(kind: string): Kept<One>[] {
    for (const dead of kept.filter(({ one }) => !one.isAlive())) void drop(dead)
    return kept.filter((one) => one.kind === kind)
  }

  /** Another kind gives way: it is not what is asked for now. */
  function makeRoom(kind: string): boolean {
    const started = [...coming.values()].reduce((sum, number) => sum + number, 0)
    if (closed || availableBytes() < reserveBytes) return false
    if (living(kind).length + started >= most) return false
    const other = kept.length + started >= most ? kept.find((one) => one.kind !== kind) : undefined
    if (other) void drop(other)
    return true
  }

  async function add(kind: string, shape: Shape): Promise<void> {
    if (!makeRoom(kind)) return
    count(coming, kind, 1)
    try {
      const one = await start(shape)
      const added = { kind, one, cancel: clock.after(idleMs, () => void drop(added)) }
      kept.push(added)
      if (closed) await drop(added)
    } finally {
      count(coming, kind, -1)
    }
  }

  return {
    take(kind) {
      const [first] = living(kind)
      if (!first) return undefined
      kept = kept.filter((other) => other !== first)
      first.cancel()
      return first.one
    },
    expect(kind, shape) {
      const wanted = count(running, kind, 1)
      clock.after(pauseMs, () => {
        const missing = wanted - living(kind).length - (coming.get(kind) ?? 0)
        // One that does not start is told by the next run, which starts its own.
        for (let number = 0; number < missing; number++) void add(kind, shape).catch(() => undefined)
      })
    },
    ended: (kind) => void count(running, kind, -1),
    add,
    waiting: () => kept.filter(({ one }) => one.isAlive()).length,
    async close() {
      closed = true
      await Promise.all(kept.map(drop))
    },
  }
}
