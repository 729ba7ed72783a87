import { median, rounded } from './figures.ts'
import { type Load, runLoad } from './http-load.ts'
import { processorSeconds, type Target } from './servers.ts'

export type Measured = {
  readonly perSecond: number
  readonly p99Milliseconds: number
  /** Of the server a request, threads included. */
  readonly processorMicroseconds: number
}

/** One load on one server, with the processor time that it cost there. */
export async function measureLoad(
  { port, token, pid }: Target,
  load: Omit<Load, 'port' | 'token'>,
  { wrk, folder }: { wrk: boolean; folder: string },
): Promise<Measured> {
  const before = processorSeconds(pid)
  const { requests, ...rates } = await runLoad({ port, token, ...load }, wrk, folder)
  return { ...rates, processorMicroseconds: ((processorSeconds(pid) - before) * 1e6) / requests }
}

/**
 * Each server in turn, so that what else the machine does meets all of them alike; after one round to warm up, the median
 * counts. Servers beside `openbao` are given as many times its rate and its p99, where it takes part.
 */
export async function compareInTurns<S extends Target>(
  servers: readonly S[],
  rounds: number,
  measure: (server: S) => Promise<Measured>,
): Promise<Record<string, unknown>> {
  const measured = new Map<string, Measured[]>(servers.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++)
    for (const server of servers) {
      const result = await measure(server)
      if (round > 0) measured.get(server.name)?.push(result)
    }
  const middle = (name: string, of: keyof Measured): number =>
    median((measured.get(name) ?? []).map((result) => result[of]))
  const theirs = { rate: middle('openbao', 'perSecond'), p99: middle('openbao', 'p99Milliseconds') }
  return Object.fromEntries(
    servers.map(({ name }) => {
      const [rate, p99] = [middle(name, 'perSecond'), middle(name, 'p99Milliseconds')]
      const figures = {
        perSecond: rounded(rate),
        p99Milliseconds: rounded(p99, 2),
        processorMicroseconds: rounded(middle(name, 'processorMicroseconds')),
      }
      if (Number.isNaN(theirs.rate) || name === 'openbao') return [name, figures]
      return [
        name,
        { ...figures, timesOpenbao: rounded(rate / theirs.rate, 1), p99Ratio: rounded(p99 / theirs.p99, 2) },
      ]
    }),
  )
}

export const connectionsInWords = (count: number): string =>
  `${count} ${count === 1 ? 'connection' : 'connections'}`
