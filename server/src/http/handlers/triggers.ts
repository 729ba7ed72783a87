import { hooksApi, triggersApi } from '@keyward/contract'
import type { Triggers } from '../../triggers/index.ts'
import { type Route, route } from '../route.ts'

export function triggerRoutes({ hooks, ...triggers }: Triggers): Route[] {
  return [
    route(hooksApi.list, async () => ({ items: await hooks.list() })),
    route(hooksApi.read, ({ connectionId }) => hooks.read(connectionId), ofConnection),
    route(
      hooksApi.issue,
      async ({ connectionId }, { principal }) => {
        const { hook, secret } = await hooks.issue(connectionId, principal)
        return { hook, secret: secret.reveal() }
      },
      ofConnection,
    ),
    route(
      hooksApi.remove,
      async ({ connectionId }, { principal }) => {
        await hooks.remove(connectionId, principal)
        return { removed: true }
      },
      ofConnection,
    ),
    route(triggersApi.list, async () => ({ items: await triggers.list() })),
    route(triggersApi.read, ({ triggerId }) => triggers.read(triggerId), ofTrigger),
    route(triggersApi.create, (wanted, { principal }) => triggers.create(wanted, principal)),
    route(
      triggersApi.change,
      ({ triggerId, ...change }, { principal }) => triggers.change(triggerId, change, principal),
      ofTrigger,
    ),
    route(
      triggersApi.remove,
      async ({ triggerId }, { principal }) => {
        await triggers.remove(triggerId, principal)
        return { removed: true }
      },
      ofTrigger,
    ),
  ]
}

const ofConnection = ({ connectionId }: { connectionId: string }) => ({
  type: 'ServiceConnection' as const,
  id: connectionId,
})
const ofTrigger = ({ triggerId }: { triggerId: string }) => ({ type: 'Run' as const, id: triggerId })
