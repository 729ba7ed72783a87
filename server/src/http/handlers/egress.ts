import { egressApi, grantsApi, type OpenConnections } from '@keyward/contract'
import { AppError, type Clock } from '../../core/index.ts'
import type { EgressLog } from '../../flows/index.ts'
import type { Lend } from '../../lend/index.ts'
import type { Passages } from '../../passage/index.ts'
import type { Store } from '../../store/index.ts'
import { type Route, route } from '../route.ts'
import { certificateRoutes } from './certificates.ts'
import { passageRoutes } from './passages.ts'

type Needs = {
  store: Pick<Store, 'write'>
  clock: Pick<Clock, 'now'>
  passages: Omit<Passages, 'start'>
  remote: Parameters<typeof certificateRoutes>[0]['remote']
  lend: Pick<Lend, 'grant' | 'endGrant' | 'grants' | 'readGrant' | 'explain' | 'reach'>
  egressLog: EgressLog
  proxy: { openNow(agentId: string): OpenConnections }
}

export function egressRoutes({ store, clock, lend, passages, remote, egressLog, proxy }: Needs): Route[] {
  const noGrant = (grantId: string): AppError =>
    new AppError('grant.not_found', `No grant has the id ${grantId}.`)
  return [
    ...passageRoutes({ passages }),
    ...certificateRoutes({ remote }),
    {
      // Decided in the domain, where runs make grants too.
      ...route(grantsApi.create, ({ expiresInSeconds, ...asked }, { principal }) =>
        store.write(async (tx) => {
          const expiresAt = new Date(clock.now().getTime() + expiresInSeconds * 1000)
          const { grantId } = await lend.grant(tx, { ...asked, expiresAt, by: principal })
          const made = await lend.readGrant(grantId, tx)
          if (!made) throw noGrant(grantId)
          return made
        }),
      ),
      decidedByDomain: true,
    },
    route(
      grantsApi.list,
      (query) => lend.grants(query),
      () => ({ type: 'Lease', id: '*' }),
    ),
    route(
      grantsApi.end,
      ({ grantId, reason }, { principal }) =>
        store.write(async (tx) => {
          await lend.endGrant(tx, grantId, reason, principal)
          const ended = await lend.readGrant(grantId, tx)
          if (!ended) throw noGrant(grantId)
          return ended
        }),
      async ({ grantId }) => {
        const grant = await lend.readGrant(grantId)
        const attributes = grant ? { agent: `agent:${grant.agentId}`, secretPath: grant.secretPath } : {}
        return { type: 'Lease', id: grantId, attributes }
      },
    ),
    route(
      egressApi.requests,
      (query) => egressLog(query),
      () => ({ type: 'Destination', id: '*' }),
    ),
    route(
      egressApi.reach,
      async ({ agentId }) => ({ ...(await lend.reach(agentId)), open: proxy.openNow(agentId) }),
      () => ({ type: 'Destination', id: '*' }),
    ),
    route(
      egressApi.explain,
      (question) => lend.explain(question),
      () => ({ type: 'Destination', id: '*' }),
    ),
  ]
}
