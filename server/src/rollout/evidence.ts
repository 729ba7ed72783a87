import type { Evidence } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { EndedRuns, Workflow } from '../workflow/index.ts'

type Needs = { audit: Pick<Audit, 'page'>; workflow: Pick<Workflow, 'endedOf'> }

const days = 7
const dayMilliseconds = 24 * 3600 * 1000
/** More than these are not told apart: they speak against an agent as they are. */
const mostEntries = 1000

/**
 * What an agent did in the last days. Runs count since it came into its phase; violations count for the whole time, so that a
 * demotion does not wipe them out.
 */
export async function gatherEvidence(
  { audit, workflow }: Needs,
  agentId: string,
  { now, phaseSince }: { now: Date; phaseSince: Date },
): Promise<Evidence> {
  const begin = now.getTime() - days * dayMilliseconds
  const since = new Date(Math.max(begin, phaseSince.getTime()))
  const actor = `agent:${agentId}`
  const runs: EndedRuns = await workflow.endedOf(actor, since)
  const count = (outcome: 'done' | 'denied', from: number) =>
    countEntries(audit, { actor, type: ['task.judged', 'lease.misused'], outcome }, from)
  return {
    days,
    since: since.toISOString(),
    ...runs,
    observed: await count('done', since.getTime()),
    violations: await count('denied', begin),
  }
}

type Filter = { actor: string; type: string[]; outcome: string }

async function countEntries(audit: Needs['audit'], filter: Filter, from: number): Promise<number> {
  let cursor: string | undefined
  let counted = 0
  while (counted < mostEntries) {
    const { items, next } = await audit.page({ ...filter, order: 'desc', limit: 200, cursor })
    const recent = items.filter(({ at }) => Date.parse(at) >= from)
    counted += recent.length
    if (recent.length < items.length || next === null) break
    cursor = next
  }
  return counted
}
