import { findingsApi } from '@keyward/contract'
import type { Findings } from '../../findings/index.ts'
import { type Route, route } from '../route.ts'

export function findingRoutes(findings: Findings): Route[] {
  return [
    route(findingsApi.startScan, async ({ path, history }, { principal }) => {
      const { scan } = await findings.startScan({ path, history, by: principal })
      return scan
    }),
    route(findingsApi.readScan, ({ scanId }) => findings.readScan(scanId)),
    route(findingsApi.listScans, (query) => findings.listScans(query)),
    route(findingsApi.list, (query) => findings.page(query)),
    route(findingsApi.read, ({ findingId }) => findings.read(findingId)),
    route(findingsApi.preview, ({ findingIds }) => findings.preview(findingIds)),
    route(findingsApi.ignore, ({ findingId, reason }, { principal }) =>
      findings.ignore(findingId, reason, principal),
    ),
    route(findingsApi.undo, ({ runId }, { principal }) => findings.undo(runId, principal)),
  ]
}
