import { certificatesApi } from '@keyward/contract'
import type { Remote } from '../../passage/index.ts'
import { type Resource, type Route, route } from '../route.ts'

type Needs = { remote: Omit<Remote, 'start' | 'holder' | 'state'> }

export function certificateRoutes({ remote }: Needs): Route[] {
  const ownedBy = (id: string, agentId?: string): Resource => ({
    type: 'Lease',
    id,
    attributes: agentId === undefined ? {} : { agent: `agent:${agentId}` },
  })
  return [
    route(
      certificatesApi.issue,
      async (wanted, { principal }) => ({
        ...(await remote.issue({ ...wanted, by: principal })),
        address: remote.address(),
      }),
      ({ agentId }) => ownedBy('*', agentId),
    ),
    route(
      certificatesApi.list,
      ({ agentId, cursor, limit }) => remote.page(agentId, { cursor, limit }),
      ({ agentId }) => ownedBy('*', agentId),
    ),
    route(
      certificatesApi.revoke,
      ({ certificateId, reason }, { principal }) => remote.revoke(certificateId, reason, principal),
      async ({ certificateId }) => ownedBy(certificateId, (await remote.read(certificateId))?.agentId),
    ),
  ]
}
