import { type ArgumentsOf, api } from '@keyward/contract'
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

// The first part of a key is the noun: live events invalidate by it (see live.ts).

type ListArguments = ArgumentsOf<typeof api.findings.list>
export type FindingFilter = Omit<ListArguments, 'cursor' | 'limit' | 'sort'>

/** While another filter is read, what the last one showed stays. */
export const findingsQuery = (filter: FindingFilter, sort: ListArguments['sort']) =>
  infiniteQueryOptions({
    queryKey: ['findings', 'list', filter, sort],
    queryFn: ({ signal, pageParam }) =>
      call(api.findings.list, { ...filter, sort, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    placeholderData: keepPreviousData,
  })

export const findingCountsQuery = (filter: FindingFilter) =>
  queryOptions({
    queryKey: ['findings', 'summary', filter],
    queryFn: ({ signal }) => call(api.findings.summary, filter, signal),
    placeholderData: keepPreviousData,
  })

export const explanationQuery = (findingId: string) =>
  queryOptions({
    queryKey: ['findings', 'explain', findingId],
    queryFn: ({ signal }) => call(api.findings.explain, { findingId }, signal),
  })

export const trendQuery = (project: string | undefined, days: number) =>
  queryOptions({
    queryKey: ['findings', 'trend', project ?? 'all', days],
    queryFn: ({ signal }) => call(api.findings.trend, { project, days }, signal),
    placeholderData: keepPreviousData,
  })

export const foldersQuery = (project: string | undefined, folder: string) =>
  queryOptions({
    queryKey: ['findings', 'folders', project ?? 'all', folder],
    queryFn: ({ signal }) => call(api.findings.folders, { project, folder }, signal),
    placeholderData: keepPreviousData,
  })
