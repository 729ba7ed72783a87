import { availableParallelism, cpus, loadavg } from 'node:os'

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

export const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits))

/** Where and when, because a figure means nothing without it. `load`: processes that wanted to run in the last minute, ours included. */
export const circumstances = () => ({
  at: new Date().toISOString(),
  machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}`,
  node: process.versions.node,
  load: rounded(loadavg()[0] ?? 0, 1),
})

export const print = (report: unknown): void =>
  void process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
