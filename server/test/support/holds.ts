/** Holds runs at steps of theirs, so that one kill of a process meets many runs, each at another step. */
export type Holds = {
  /** Notes that the run is there. Where it is held, what is given never ends; throws instead at a step that cannot wait. */
  reached(step: string, runId: string): Promise<void> | undefined
  /** The run goes no further than this of its `steps`. */
  hold(runId: string, place: string): void
  /** The run goes no further than its n-th step from now. */
  holdAtNth(runId: string, nth: number): void
  isHeld(runId: string): boolean
  /** Where runs are held. */
  places(): string[]
  /** The steps that the run has passed, each with which time it was. */
  steps(runId: string): string[]
}

export function createHolds({ throwsAt }: { throwsAt: readonly string[] }): Holds {
  const passed = new Map<string, string[]>()
  const wanted = new Map<string, (place: string, nth: number) => boolean>()
  const held = new Map<string, string>()
  const forever = new Promise<void>(() => undefined)

  function isToStay(runId: string, step: string): boolean {
    if (held.has(runId)) return true
    const before = passed.get(runId) ?? []
    const place = `${step} ${before.filter((one) => one.startsWith(`${step} `)).length + 1}`
    passed.set(runId, [...before, place])
    if (!wanted.get(runId)?.(place, before.length + 1)) return false
    held.set(runId, place)
    return true
  }

  return {
    reached(step, runId) {
      if (!isToStay(runId, step)) return undefined
      if (throwsAt.includes(step)) throw new Error(`the run is held at ${step}`)
      return forever
    },
    hold: (runId, place) => void wanted.set(runId, (one) => one === place),
    holdAtNth: (runId, nth) => void wanted.set(runId, (_, n) => n === nth),
    isHeld: (runId) => held.has(runId),
    places: () => [...held.values()],
    steps: (runId) => passed.get(runId) ?? [],
  }
}
