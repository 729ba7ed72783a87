import { api } from '@keyward/contract'
import { queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

/** Messages are not announced one by one, so who looks at them asks again. */
const followMilliseconds = 5000

export const channelsQuery = queryOptions({
  queryKey: ['channels'],
  queryFn: ({ signal }) => call(api.channels.list, {}, signal),
  refetchInterval: followMilliseconds,
})

export const channelAccountsQuery = queryOptions({
  queryKey: ['channels', 'accounts'],
  queryFn: ({ signal }) => call(api.channels.accounts, {}, signal),
})
