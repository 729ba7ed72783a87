import { auditApi, type SystemStatus, systemApi } from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import type { Policy } from '../../policy/index.ts'
import { type Route, route } from '../route.ts'

type Needs = {
  status: () => Promise<SystemStatus>
  policy: Pick<Policy, 'files'>
  audit: Pick<Audit, 'page' | 'head'>
}

export function systemRoutes({ status, policy, audit }: Needs): Route[] {
  return [
    route(systemApi.status, () => status()),
    route(systemApi.policies, async () => policy.files()),
    route(auditApi.list, (query) => audit.page(query)),
    route(auditApi.head, () => audit.head()),
  ]
}
