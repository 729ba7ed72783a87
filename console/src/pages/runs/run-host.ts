import type { RunView, SystemStatus } from '@keyward/contract'

/** What carries a run, in words; whether it can just now, where the status is known. */
export function carriedBy(
  { host, finishedAt }: Pick<RunView, 'host' | 'finishedAt'>,
  hosts: SystemStatus['hosts'],
): string {
  if (host !== 'temporal') return 'carried by the server'
  if (finishedAt !== null || !hosts || hosts.temporal?.state === 'up') return 'carried by Temporal'
  if (!hosts.temporal) return 'carried by Temporal, which is no longer set: it stands still until it is'
  return `waiting for Temporal: ${hosts.temporal.problem ?? 'its worker is connecting'}`
}
