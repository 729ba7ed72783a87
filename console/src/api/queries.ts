import { type ApprovalState, api, type LeaseView, type RunState } from '@keyward/contract'
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

// The first part of a key is the noun: live events invalidate by it (see live.ts).

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => call(api.session.read, {}, signal),
  staleTime: 60_000,
})

export const statusQuery = queryOptions({
  queryKey: ['status'],
  queryFn: ({ signal }) => call(api.system.status, {}, signal),
  refetchInterval: 30_000,
})

export const policiesQuery = queryOptions({
  queryKey: ['policies'],
  queryFn: ({ signal }) => call(api.system.policies, {}, signal),
})

export const peopleQuery = infiniteQueryOptions({
  queryKey: ['people'],
  queryFn: ({ signal, pageParam }) => call(api.people.list, { cursor: pageParam }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.next ?? undefined,
})

export const factorsQuery = queryOptions({
  queryKey: ['factors'],
  queryFn: ({ signal }) => call(api.secondFactors.list, {}, signal),
})

export const findingQuery = (findingId: string) =>
  queryOptions({
    queryKey: ['findings', 'one', findingId],
    queryFn: ({ signal }) => call(api.findings.read, { findingId }, signal),
  })

export const importPreviewQuery = (findingIds: string[]) =>
  queryOptions({
    queryKey: ['findings', 'preview', findingIds],
    queryFn: ({ signal }) => call(api.findings.preview, { findingIds }, signal),
    enabled: findingIds.length > 0,
    retry: false,
  })

export const scansQuery = queryOptions({
  queryKey: ['scans'],
  queryFn: ({ signal }) => call(api.findings.listScans, { limit: 5 }, signal),
  refetchInterval: ({ state }) => (state.data?.items.some((scan) => scan.state === 'running') ? 1000 : false),
})

export const secretsQuery = (path: string) =>
  queryOptions({
    queryKey: ['secrets', 'list', path],
    queryFn: ({ signal }) => call(api.secrets.list, { path }, signal),
  })

export const secretQuery = (path: string) =>
  queryOptions({
    queryKey: ['secrets', 'one', path],
    queryFn: ({ signal }) => call(api.secrets.read, { path }, signal),
  })

export const goalsQuery = infiniteQueryOptions({
  queryKey: ['goals', 'list'],
  queryFn: ({ signal, pageParam }) => call(api.goals.list, { cursor: pageParam }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.next ?? undefined,
})

export const goalQuery = (goalId: string) =>
  queryOptions({
    queryKey: ['goals', 'one', goalId],
    queryFn: ({ signal }) => call(api.goals.read, { goalId }, signal),
  })

export const runsQuery = (state: RunState | undefined) =>
  infiniteQueryOptions({
    queryKey: ['runs', 'list', state ?? 'all'],
    queryFn: ({ signal, pageParam }) => call(api.runs.list, { state, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

export const runQuery = (runId: string) =>
  queryOptions({
    queryKey: ['runs', 'one', runId],
    queryFn: ({ signal }) => call(api.runs.read, { runId }, signal),
  })

export const outputQuery = (runId: string, taskId: string) =>
  queryOptions({
    queryKey: ['runs', 'output', runId, taskId],
    queryFn: ({ signal }) => call(api.runs.output, { runId, taskId }, signal),
  })

export const approvalsQuery = (state: ApprovalState | undefined) =>
  infiniteQueryOptions({
    queryKey: ['approvals', 'list', state ?? 'all'],
    queryFn: ({ signal, pageParam }) => call(api.approvals.list, { state, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

/** Rights to answer that are lent, and answers given ahead. */
export const delegationsQuery = infiniteQueryOptions({
  queryKey: ['rights', 'delegations'],
  queryFn: ({ signal, pageParam }) => call(api.delegations.list, { cursor: pageParam }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.next ?? undefined,
})

export const approvalGrantsQuery = infiniteQueryOptions({
  queryKey: ['rights', 'ahead'],
  queryFn: ({ signal, pageParam }) => call(api.approvalGrants.list, { cursor: pageParam }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.next ?? undefined,
})

export const approvalQuery = (approvalId: string) =>
  queryOptions({
    queryKey: ['approvals', 'one', approvalId],
    queryFn: ({ signal }) => call(api.approvals.read, { approvalId }, signal),
  })

export const agentsQuery = infiniteQueryOptions({
  queryKey: ['agents'],
  queryFn: ({ signal, pageParam }) => call(api.agents.list, { cursor: pageParam }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last) => last.next ?? undefined,
})

export const leasesQuery = (agentId: string, state: LeaseView['state'] | undefined) =>
  infiniteQueryOptions({
    queryKey: ['leases', agentId, state ?? 'all'],
    queryFn: ({ signal, pageParam }) => call(api.leases.list, { agentId, state, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

/** What was lent in a run, or passed on of a lease. */
export const relatedLeasesQuery = (related: { runId: string } | { parentId: string }) =>
  queryOptions({
    queryKey: ['leases', 'related', related],
    queryFn: async ({ signal }) => (await call(api.leases.list, { ...related, limit: 100 }, signal)).items,
  })

/** Secrets that agents have asked for; of all agents when none is named. */
export const asksQuery = (agentId: string | undefined) =>
  queryOptions({
    queryKey: ['asks', agentId ?? 'all'],
    queryFn: async ({ signal }) =>
      (
        await call(
          api.asks.list,
          { agentId, ...(agentId ? {} : { state: 'open' as const }), limit: 50 },
          signal,
        )
      ).items,
  })

export const grantsQuery = (agentId: string) =>
  infiniteQueryOptions({
    queryKey: ['grants', agentId],
    queryFn: ({ signal, pageParam }) => call(api.grants.list, { agentId, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

export const certificatesQuery = (agentId: string) =>
  infiniteQueryOptions({
    queryKey: ['certificates', agentId],
    queryFn: ({ signal, pageParam }) => call(api.certificates.list, { agentId, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

export const auditQuery = (type: string | undefined, correlation: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ['audit', 'list', type ?? 'all', correlation ?? 'all'],
    queryFn: ({ signal, pageParam }) =>
      call(api.audit.list, { type, correlation, cursor: pageParam, limit: 200 }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  })

export const misuseQuery = queryOptions({
  queryKey: ['audit', 'misuse'],
  queryFn: ({ signal }) => call(api.audit.list, { type: 'lease.misused', limit: 200 }, signal),
})

export const latestAuditQuery = queryOptions({
  queryKey: ['audit', 'latest'],
  queryFn: ({ signal }) => call(api.audit.list, { limit: 8 }, signal),
})

/** When the files of a run were put back, if they were. */
export const restoredQuery = (runId: string) =>
  queryOptions({
    queryKey: ['audit', 'restored', runId],
    queryFn: async ({ signal }) => {
      const asked = { type: 'file.restored', correlation: runId, limit: 5 }
      const { items } = await call(api.audit.list, asked, signal)
      const done = items.find(({ type, outcome }) => type === 'file.restored' && outcome === 'done')
      return done?.at ?? null
    },
  })

export const auditHeadQuery = queryOptions({
  queryKey: ['audit', 'head'],
  queryFn: ({ signal }) => call(api.audit.head, {}, signal),
})
