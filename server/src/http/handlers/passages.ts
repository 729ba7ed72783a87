import { passagesApi } from '@keyward/contract'
import type { Passages } from '../../passage/index.ts'
import { type Call, type Resource, type Route, route } from '../route.ts'

type Needs = { passages: Omit<Passages, 'start'> }

export function passageRoutes({ passages }: Needs): Route[] {
  const leasesOf = (id: string, agentId?: string): Resource => ({
    type: 'Lease',
    id,
    attributes: agentId === undefined ? {} : { agent: `agent:${agentId}` },
  })
  const passageOf = async ({ passageId }: { passageId: string }): Promise<Resource> =>
    leasesOf(passageId, (await passages.read(passageId))?.agentId)
  return [
    route(
      passagesApi.open,
      (wanted, { principal }) => passages.open({ ...wanted, principal }),
      // Whose leases, without registering anybody for a caller who may not open one.
      ({ agentId }, { principal }) => leasesOf('*', agentId ?? ownId(principal)),
    ),
    route(
      passagesApi.keep,
      async ({ passageId }, { principal }) => {
        const { endsAt } = await passages.keep(passageId, principal)
        return { endsAt: endsAt.toISOString() }
      },
      passageOf,
    ),
    route(
      passagesApi.close,
      ({ passageId }, { principal }) => passages.close(passageId, principal),
      passageOf,
    ),
    // An agent sees its own only, whatever it asks for.
    route(
      passagesApi.list,
      ({ cursor, limit, agentId }, { principal }) =>
        passages.page({ cursor, limit, agentId: ownId(principal) ?? agentId }),
      (_, { principal }) => leasesOf('*', ownId(principal)),
    ),
  ]
}

const ownId = ({ kind, id }: Call['principal']): string | undefined => (kind === 'agent' ? id : undefined)
