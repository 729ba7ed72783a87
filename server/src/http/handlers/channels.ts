import { channelsApi } from '@keyward/contract'
import type { Channels } from '../../channels/index.ts'
import { type Route, route } from '../route.ts'

export function channelRoutes(channels: Channels): Route[] {
  return [
    route(channelsApi.list, async () => ({ items: await channels.list() })),
    route(channelsApi.create, (wanted, { principal }) => channels.create(wanted, principal)),
    route(
      channelsApi.change,
      ({ channelId, ...change }, { principal }) => channels.change(channelId, change, principal),
      ofChannel,
    ),
    route(
      channelsApi.remove,
      async ({ channelId }, { principal }) => {
        await channels.remove(channelId, principal)
        return { removed: true }
      },
      ofChannel,
    ),
    route(channelsApi.test, ({ channelId }, { principal }) => channels.test(channelId, principal), ofChannel),
    route(channelsApi.check, ({ channelId }) => channels.check(channelId), ofChannel),
    route(
      channelsApi.deliveries,
      async ({ channelId, ...query }) => ({ items: await channels.deliveries(channelId, query) }),
      ofChannel,
    ),
    route(
      channelsApi.retry,
      async ({ channelId }, { principal }) => ({ revived: await channels.retry(channelId, principal) }),
      ofChannel,
    ),
    route(channelsApi.link, async (_, { principal }) => {
      const { code, expiresAt } = await channels.link(principal)
      return { code: code.reveal(), expiresAt: expiresAt.toISOString() }
    }),
    route(channelsApi.accounts, async () => ({ items: await channels.accounts() })),
    route(channelsApi.unlink, async ({ accountId }, { principal }) => {
      await channels.unlink(accountId, principal)
      return { removed: true }
    }),
  ]
}

const ofChannel = ({ channelId }: { channelId: string }) => ({ type: 'Server' as const, id: channelId })
