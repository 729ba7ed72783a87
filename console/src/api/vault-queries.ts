import { type ArgumentsOf, api } from '@keyward/contract'
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

// All of them begin with `vault` and go stale together: what one page changes, another may show.

export const mountsQuery = queryOptions({
  queryKey: ['vault', 'mounts'],
  queryFn: ({ signal }) => call(api.mounts.list, {}, signal),
})

export const sealQuery = queryOptions({
  queryKey: ['vault', 'seal'],
  queryFn: ({ signal }) => call(api.seal.status, {}, signal),
})

export const aclPoliciesQuery = queryOptions({
  queryKey: ['vault', 'policies'],
  queryFn: ({ signal }) => call(api.acl.list, {}, signal),
})

export const aclPolicyQuery = (policyName: string) =>
  queryOptions({
    queryKey: ['vault', 'policy', policyName],
    queryFn: ({ signal }) => call(api.acl.read, { policyName }, signal),
  })

type Test = ArgumentsOf<typeof api.acl.test>
/** Nothing is stored by it, so it is a reading. */
export const policyTestQuery = (test: Test) =>
  queryOptions({
    queryKey: ['vault', 'test', test],
    queryFn: ({ signal }) => call(api.acl.test, test, signal),
    enabled: test.path.trim() !== '' && test.text.trim() !== '',
    retry: false,
    gcTime: 0,
  })

export const tokensQuery = infiniteQueryOptions({
  queryKey: ['vault', 'tokens'],
  queryFn: ({ signal, pageParam }) => call(api.tokens.list, { cursor: pageParam }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.next ?? undefined,
})

export const credentialsQuery = (prefix: string, failing: boolean) =>
  infiniteQueryOptions({
    queryKey: ['vault', 'leases', prefix, failing],
    queryFn: ({ signal, pageParam }) =>
      call(api.credentials.list, { prefix, failing: failing ? 'true' : 'false', cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

export const backlogQuery = queryOptions({
  queryKey: ['vault', 'backlog'],
  queryFn: ({ signal }) => call(api.credentials.backlog, {}, signal),
  refetchInterval: 10_000,
})

export const appRolesQuery = queryOptions({
  queryKey: ['vault', 'approles'],
  queryFn: ({ signal }) => call(api.appRoles.list, {}, signal),
})

export const appRoleQuery = (mount: string, roleName: string) =>
  queryOptions({
    queryKey: ['vault', 'approle', mount, roleName],
    queryFn: ({ signal }) => call(api.appRoles.read, { mount, roleName }, signal),
  })

export const backupsQuery = queryOptions({
  queryKey: ['vault', 'backups'],
  queryFn: ({ signal }) => call(api.backups.list, {}, signal),
})

/** Ends on the server too when the words change before it is done. */
export const secretSearchQuery = (words: string) =>
  queryOptions({
    queryKey: ['secrets', 'search', words],
    queryFn: ({ signal }) => call(api.secrets.search, { words, limit: 200 }, signal),
    enabled: words !== '',
  })

export const secretHistoryQuery = (path: string) =>
  queryOptions({
    queryKey: ['secrets', 'history', path],
    queryFn: ({ signal }) => call(api.secrets.history, { path }, signal),
  })

export const secretCompareQuery = (path: string, from: number, to: number) =>
  queryOptions({
    queryKey: ['secrets', 'compare', path, from, to],
    queryFn: ({ signal }) => call(api.secrets.compare, { path, from, to }, signal),
    // Each reading is an entry in the audit log.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    retry: false,
  })
