import { connectionsApi, connectorsApi } from '@keyward/contract'
import type { Connectors } from '../../connectors/index.ts'
import { type Route, route } from '../route.ts'

export function connectorRoutes(connectors: Connectors): Route[] {
  return [
    route(connectorsApi.list, async () => ({ items: connectors.kinds() })),
    route(connectionsApi.list, async () => ({ items: await connectors.list() })),
    route(
      connectionsApi.create,
      (wanted, { principal }) => connectors.create(wanted, principal),
      ({ name, connector, environment }) => ({
        type: 'ServiceConnection',
        id: '*',
        attributes: { name, connector, environment: environment ?? undefined },
      }),
    ),
    route(
      connectionsApi.change,
      ({ connectionId, ...change }, { principal }) => connectors.change(connectionId, change, principal),
      ofConnection,
    ),
    route(
      connectionsApi.remove,
      async ({ connectionId }, { principal }) => {
        await connectors.remove(connectionId, principal)
        return { removed: true }
      },
      ofConnection,
    ),
    route(connectionsApi.check, ({ connectionId }) => connectors.check(connectionId), ofConnection),
  ]
}

const ofConnection = ({ connectionId }: { connectionId: string }) => ({
  type: 'ServiceConnection' as const,
  id: connectionId,
})
