import { api, type EgressRequest } from '@keyward/contract'
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

/** Requests are not announced one by one, so who looks at them asks again. */
const followMilliseconds = 2000

export type RequestFilter = {
  agentId?: string | undefined
  outcome?: EgressRequest['outcome'] | undefined
  host?: string | undefined
  runId?: string | undefined
}

export const requestsQuery = (filter: RequestFilter, following: boolean) =>
  infiniteQueryOptions({
    queryKey: ['requests', filter],
    queryFn: ({ signal, pageParam }) =>
      call(api.egress.requests, { ...filter, cursor: pageParam, limit: 100 }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    refetchInterval: following ? followMilliseconds : false,
  })

export const sandboxesQuery = queryOptions({
  queryKey: ['sandboxes'],
  queryFn: ({ signal }) => call(api.sandboxes.list, {}, signal),
  refetchInterval: followMilliseconds,
})

export const imagesQuery = queryOptions({
  queryKey: ['sandboxes', 'images'],
  queryFn: ({ signal }) => call(api.images.list, {}, signal),
})

export const reachQuery = (agentId: string) =>
  queryOptions({
    queryKey: ['reach', agentId],
    queryFn: ({ signal }) => call(api.egress.reach, { agentId }, signal),
    refetchInterval: 5 * followMilliseconds,
  })

export const rolloutQuery = (agentId: string) =>
  queryOptions({
    queryKey: ['agents', 'rollout', agentId],
    queryFn: ({ signal }) => call(api.rollout.read, { agentId }, signal),
  })
