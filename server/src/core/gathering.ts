/** Where callers wait for a sync of the disk that they share: how long the next one waits for more of them. */
type Gathering = {
  /** Does the sync, and learns how long one takes. */
  around(sync: () => Promise<void>): Promise<void>
  /** So many were answered just now, or came meanwhile. They are likely to wait again at once. */
  expect(count: number): void
  /**
   * Resolves after a turn of the event loop that brought nobody. While some of those who are expected are missing, and `isPatient` allows it, a
   * moment later: callers would else fall into two groups that wait for each other's sync as well as for their own.
   */
  untilNobodyComes(waiting: () => number, goesOn: () => boolean, isPatient?: () => boolean): Promise<void>
}

/** How long after an answer its caller may be expected again. */
const soonMilliseconds = 2
/** Of what a sync takes, as the last few did; it never waits longer than `mostMilliseconds`. */
const patientPart = 0.5
const mostMilliseconds = 0.5
/** Of the last one in what is known of them. */
const weightOfLast = 0.25
/** Where time goes by too slowly. */
const mostIdleTurns = 50

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** `now` in milliseconds, on a clock that is never set back. */
export function createGathering(now: () => number = () => performance.now()): Gathering {
  let expected = 0
  let until = 0
  let syncMilliseconds = 0
  return {
    async around(sync) {
      const began = now()
      await sync()
      syncMilliseconds += (now() - began - syncMilliseconds) * weightOfLast
    },
    expect(count) {
      expected = count
      until = now() + soonMilliseconds
    },
    async untilNobodyComes(waiting, goesOn, isPatient = goesOn) {
      const began = now()
      const wanted = began <= until ? expected : 0
      const patience = Math.min(mostMilliseconds, syncMilliseconds * patientPart)
      const mayWait = (idleTurns: number): boolean =>
        waiting() < wanted && idleTurns < mostIdleTurns && isPatient() && now() - began < patience
      let idleTurns = 0
      do {
        const before = waiting()
        await endOfTurn()
        idleTurns = waiting() > before ? 0 : idleTurns + 1
      } while (goesOn() && (idleTurns === 0 || mayWait(idleTurns)))
    },
  }
}
