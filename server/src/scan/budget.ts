/**
 * How much work one file may cause, however it was made. Work is counted in bytes that a pattern ran over or that were
 * decoded, so the same file ends at the same place on every machine.
 */
export type Budget = {
  /** False once nothing is left: whoever asks stops there. */
  spend(steps: number): boolean
  /** One more finding; false when the file has had more than anybody reads. */
  found(): boolean
  /** Why the file was not looked through to its end, if it was not. */
  readonly exceeded: string | undefined
}

const leastSteps = 64e6
const stepsForByte = 200
const mostSteps = 4e9
const mostFindings = 20_000

export function createBudget(sizeBytes: number): Budget {
  let steps = Math.min(mostSteps, leastSteps + stepsForByte * sizeBytes)
  let findings = mostFindings
  let exceeded: string | undefined
  return {
    spend(used) {
      steps -= used
      if (steps < 0) exceeded ??= 'so much of it looks like a secret that the rest was not looked through'
      return steps >= 0
    },
    found() {
      findings--
      if (findings < 0) exceeded ??= `it holds more than ${mostFindings} findings; the rest is not told`
      return findings >= 0
    },
    get exceeded() {
      return exceeded
    },
  }
}
