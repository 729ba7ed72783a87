import { findingsApi } from '@keyward/contract'
import type { Findings } from '../../findings/index.ts'
import { type Route, route } from '../route.ts'

export function findingRoutes(findings: Findings): Route[] {
  return [
    route(findingsApi.startScan, async ({ path, history, newCommits }, { principal }) => {
      const { scan } = await findings.startScan({ path, history, newCommits, by: principal })
      return scan
    }),
    route(findingsApi.readScan, ({ scanId }) => findings.readScan(scanId)),
    route(findingsApi.listScans, (query) => findings.listScans(query)),
    route(findingsApi.list, (query) => findings.page(query)),
    route(findingsApi.summary, (filter) => findings.summary(filter)),
    route(findingsApi.trend, (query) => findings.trend(query)),
    route(findingsApi.folders, (query) => findings.folders(query)),
    route(findingsApi.read, ({ findingId }) => findings.read(findingId)),
    route(findingsApi.explain, ({ findingId }) => findings.explain(findingId)),
    route(findingsApi.preview, ({ findingIds }) => findings.preview(findingIds)),
    route(
      findingsApi.ignore,
      async ({ findingIds, reason, until }, { principal }) => {
        const why = { reason, until: until === null ? null : new Date(until) }
        return { findings: await findings.ignore(findingIds, why, principal) }
      },
      ({ findingIds }) => findingIds.map(asResource),
    ),
    route(
      findingsApi.reopen,
      async ({ findingIds }, { principal }) => ({ findings: await findings.reopen(findingIds, principal) }),
      ({ findingIds }) => findingIds.map(asResource),
    ),
    route(findingsApi.undo, ({ runId }, { principal }) => findings.undo(runId, principal)),
  ]
}

const asResource = (id: string) => ({ type: 'Finding' as const, id })
