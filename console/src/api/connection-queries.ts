import { api } from '@keyward/contract'
import { queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

// The first part of a key is the noun: live events invalidate by it (see live.ts).

export const connectionsQuery = queryOptions({
  queryKey: ['connections'],
  queryFn: ({ signal }) => call(api.connections.list, {}, signal),
})

/** They change with the version of the server alone. */
export const connectorsQuery = queryOptions({
  queryKey: ['connectors'],
  queryFn: ({ signal }) => call(api.connectors.list, {}, signal),
  staleTime: Number.POSITIVE_INFINITY,
})

export const hooksQuery = queryOptions({
  queryKey: ['hooks'],
  queryFn: ({ signal }) => call(api.hooks.list, {}, signal),
})

export const triggersQuery = queryOptions({
  queryKey: ['triggers'],
  queryFn: ({ signal }) => call(api.triggers.list, {}, signal),
})
