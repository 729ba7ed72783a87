import type { Principal } from '../core/index.ts'
import type { Decision, Policy } from '../policy/index.ts'
import type { LeaseRow } from './lend-store.ts'

type Decides = Pick<Policy, 'decide'>
type Place = { readonly host: string; readonly port: number }

/** Whether policy lets the agent connect there, given that the destination is listed. */
export const connectDecision = (
  policy: Decides,
  principal: Principal,
  { host, port }: Place,
  action: 'egress.connect' | 'egress.pass_through' = 'egress.connect',
): Decision =>
  policy.decide({
    principal,
    action,
    resource: { type: 'Destination', id: `${host}:${port}`, attributes: { host, port } },
    context: { host, port, listed: true },
  })

/** Whether policy lets the agent use the lease for such a request. */
export const useDecision = (
  policy: Decides,
  principal: Principal,
  { id, agent_id, secret_path }: Pick<LeaseRow, 'id' | 'agent_id' | 'secret_path'>,
  { host, port, method }: Place & { readonly method: string },
): Decision =>
  policy.decide({
    principal,
    action: 'lease.use',
    resource: { type: 'Lease', id, attributes: { agent: `agent:${agent_id}`, secretPath: secret_path } },
    context: { host, port, method, listed: true },
  })
