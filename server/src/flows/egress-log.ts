import type { AuditEntry, EgressRequest, Json } from '@keyward/contract'
import { z } from 'zod'
import type { Audit } from '../audit/index.ts'
import { isProbe } from './lease-probe.ts'

type Query = {
  readonly cursor?: string | undefined
  readonly limit: number
  readonly agentId?: string | undefined
  readonly host?: string | undefined
  readonly outcome?: EgressRequest['outcome'] | undefined
  readonly runId?: string | undefined
}

export type EgressLog = (query: Query) => Promise<{ items: EgressRequest[]; next: string | null }>

/** How what became of a request is recorded: what failed on its way was allowed; a destination that is down is no refusal of ours. */
export const recordedAs = {
  allowed: { type: 'egress.allowed', outcome: 'done' },
  failed: { type: 'egress.allowed', outcome: 'failed' },
  denied: { type: 'egress.denied', outcome: 'denied' },
  misused: { type: 'lease.misused', outcome: 'denied' },
} as const satisfies Record<EgressRequest['outcome'], Pick<AuditEntry, 'type' | 'outcome'>>

const everyType = [...new Set(Object.values(recordedAs).map(({ type }) => type))]

/** `destination:host:port`; a host may have colons. */
export const targetOf = ({ host, port }: { host: string; port: number | '' }): string =>
  `destination:${host}:${port}`

/** Reads the requests of sandboxes back from the audit log. */
export const createEgressLog =
  (audit: Pick<Audit, 'page'>): EgressLog =>
  async ({ agentId, host, outcome, runId, ...paging }) => {
    const { items, next } = await audit.page({
      ...paging,
      order: 'desc',
      type: everyType,
      ...(outcome === undefined ? {} : recordedAs[outcome]),
      actor: agentId === undefined ? undefined : `agent:${agentId}`,
      correlation: runId,
      targetPrefix: host === undefined ? 'destination:' : targetOf({ host: host.toLowerCase(), port: '' }),
    })
    return { items: items.map(viewOf), next }
  }

const count = z.int().catch(0)
const words = z.string().nullable().catch(null)
const names = z.array(z.string()).catch([])
/** Entries of earlier versions lack some of these. */
const told = z.object({
  sandboxId: z.string().catch(''),
  taskId: words,
  method: z.string().catch(''),
  path: z.string().catch(''),
  status: z.int().nullable().catch(null),
  outcome: z.enum(['allowed', 'denied', 'misused', 'failed']).catch('denied'),
  reason: words,
  policies: names,
  leaseIds: names,
  bytesOut: count,
  bytesIn: count,
  redactions: count,
})

const isObject = (detail: Json): boolean =>
  typeof detail === 'object' && detail !== null && !Array.isArray(detail)

function viewOf({ seq, at, actor, target, correlation, detail }: AuditEntry): EgressRequest {
  const { sandboxId, ...request } = told.parse(isObject(detail) ? detail : {})
  const [, host = '', port = '0'] = /^destination:(.*):(\d+)$/.exec(target) ?? []
  return {
    seq,
    at,
    agentId: actor.replace(/^agent:/, ''),
    sandboxId,
    runId: correlation === sandboxId ? null : correlation,
    host,
    port: Number(port),
    ...request,
    isProbe: isProbe(sandboxId),
  }
}
