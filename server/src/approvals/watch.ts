import { type Clock, newId } from '../core/index.ts'
import type { Reader } from '../store/index.ts'
import { createExpiry } from './expiry.ts'
import { nextStep } from './reminders.ts'
import { type Due, type DueKind, nextDue, type Pending, readDue, readPending } from './waiting-store.ts'

type Needs = {
  store: Reader
  clock: Clock
  inBackground: (work: () => Promise<unknown>) => void
  /** Both see for themselves whether there is still something to do, and never throw. */
  expire: (id: string) => Promise<unknown>
  remind: (id: string) => Promise<unknown>
}

/**
 * Ends and reminds of what waits, in time. Thousands may wait for weeks, so it looks at the times in the store every minute, and has one
 * timer, for the first of those that come within the next one.
 *
 * It counts the time that really passes: a clock that is set back while it runs gives nobody more time, and one that was set back before
 * gives a question its own span at most.
 */
export type Watch = {
  /** Takes up what waits in the store, and resolves when what is due has been done. */
  run(): Promise<void>
  /** This was asked just now. */
  asked(approval: Pending): void
  /** It was reminded of; another step may follow. */
  stepped(approval: Pending): void
  ended(id: string): void
  /** Does all that is due. */
  look(): Promise<void>
  /** Begins nothing more. */
  stop(): void
}

const beatMilliseconds = 60_000
const pageSize = 200
/** A timer may come so much early, or the clock be corrected, without being called set back. */
const toleranceMilliseconds = 100

const kinds: readonly DueKind[] = ['expiring', 'reminding', 'escalating']

export function createWatch({ store, clock, inBackground, expire, remind }: Needs): Watch {
  /** Of questions that the times in the store and `steady` say nothing about, because the clock was set back in between. */
  const own = createExpiry(clock, (id) => inBackground(() => expire(id)))
  const ownSteps = createExpiry(clock, (id) => inBackground(() => remind(id)))
  /** The time of the clock, which does not go back; in milliseconds. */
  let steady = 0
  let stopped = false
  let looking: Promise<void> | undefined
  let isStale = false
  let cancelBeat: (() => void) | undefined
  let near: { at: number; cancel: () => void } | undefined

  const wall = (): number => clock.now().getTime()
  const passed = (until: number): number => {
    steady = Math.max(steady, until, wall())
    return steady
  }
  const wasSetBack = (): boolean => wall() < steady - toleranceMilliseconds

  function beat(): void {
    const next = passed(0) + beatMilliseconds
    cancelBeat = clock.after(beatMilliseconds, () => {
      passed(next)
      beat()
      inBackground(look)
    })
  }

  function expect(at: number | undefined): void {
    if (stopped) return
    cancelBeat ?? beat()
    if (at === undefined || (near && near.at <= at)) return
    const left = at - passed(0)
    if (left > beatMilliseconds) return
    near?.cancel()
    near = left > 0 ? { at, cancel: clock.after(left, () => arrived(at)) } : undefined
    if (left <= 0) inBackground(look)
  }

  function arrived(at: number): void {
    near = undefined
    passed(at)
    inBackground(look)
  }

  /** One at a time: whoever asks meanwhile has another look taken. */
  function look(): Promise<void> {
    isStale = true
    looking ??= lookAll().finally(() => {
      looking = undefined
      if (isStale && !stopped) inBackground(look)
    })
    return looking
  }

  async function lookAll(): Promise<void> {
    while (isStale && !stopped) {
      isStale = false
      const until = passed(0)
      for (const kind of kinds) await doDue(kind, until)
      const next = await Promise.all(kinds.map((kind) => nextDue(store, kind, until)))
      const first = Math.min(...next.map((at) => at ?? Number.POSITIVE_INFINITY))
      if (first <= passed(0)) isStale = true
      else expect(first)
    }
  }

  async function doDue(kind: DueKind, until: number): Promise<void> {
    const act = kind === 'expiring' ? expire : remind
    let after: Due | undefined
    while (!stopped) {
      const page = await readDue(store, kind, { after, until, limit: pageSize })
      await Promise.all(page.filter(({ id }) => !own.has(id)).map(({ id }) => act(id)))
      after = page.at(-1)
      if (page.length < pageSize) return
    }
  }

  function armOwn(approval: Pending): void {
    own.arm(approval)
    stepOwn(approval)
  }

  /** From one step to the next as long as was meant to be between them. */
  function stepOwn(approval: Pending): void {
    const { id, requestedAt, remindAt, remindedAt } = approval
    const step = nextStep(approval)
    const from = remindedAt === null ? requestedAt : (remindAt ?? requestedAt)
    if (step) ownSteps.arm({ id, requestedAt: from, expiresAt: step.at })
  }

  /** Those that were asked in what is now the future. */
  async function armFuture(): Promise<void> {
    let after = newId('apr', new Date(wall() + 1))
    while (!stopped) {
      const page = await readPending(store, { after, limit: pageSize })
      for (const approval of page) armOwn(approval)
      after = page.at(-1)?.id ?? after
      if (page.length < pageSize) return
    }
  }

  return {
    async run() {
      stopped = false
      await armFuture()
      cancelBeat ?? beat()
      await look()
    },
    asked(approval) {
      if (stopped) return
      if (wasSetBack()) return armOwn(approval)
      expect(Math.min(approval.expiresAt, nextStep(approval)?.at ?? approval.expiresAt))
    },
    stepped(approval) {
      if (own.has(approval.id)) stepOwn(approval)
      else expect(nextStep(approval)?.at)
    },
    ended(id) {
      own.disarm(id)
      ownSteps.disarm(id)
    },
    look,
    stop() {
      stopped = true
      own.clear()
      ownSteps.clear()
      cancelBeat?.()
      cancelBeat = undefined
      near?.cancel()
      near = undefined
    },
  }
}
