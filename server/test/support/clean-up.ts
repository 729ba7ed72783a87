import type { TestContext } from 'node:test'

type Step = () => unknown

const stepsOf = new WeakMap<TestContext, Step[]>()

/**
 * Undoes something after the test: what was set up last goes first, and every step is taken, also after one that failed. The
 * runner's own hooks run in the order in which they were given, and stop at the first failure: a folder would go before the server
 * that writes into it, and the server would stay.
 */
export function cleanUp(t: TestContext, step: Step): void {
  const known = stepsOf.get(t)
  if (known) {
    known.push(step)
    return
  }
  const steps = [step]
  stepsOf.set(t, steps)
  t.after(async () => {
    const failures: unknown[] = []
    for (const each of steps.splice(0).reverse())
      try {
        await each()
      } catch (error) {
        failures.push(error)
      }
    stepsOf.delete(t)
    if (failures.length > 0) throw failures[0]
  })
}
