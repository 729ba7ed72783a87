import type { EventName } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import type { Proxy as EgressProxy } from '../proxy/index.ts'

type Needs = { bus: Pick<Bus, 'subscribe'>; proxy: Pick<EgressProxy, 'cut'> }

const words: Partial<Record<EventName, string>> = {
  'lease.revoked': 'Its lease was revoked.',
  'lease.expired': 'The time of its lease was over.',
}

/** What the end of a lease, or of the trust in an agent, means for what is under way: it is cut. Returns what ends the watch. */
export function watchEgressEnds({ bus, proxy }: Needs): () => void {
  return bus.subscribe(({ type, subject }) => {
    const [kind, id = ''] = subject.split(':')
    const reason = words[type]
    if (reason !== undefined && kind === 'lease') proxy.cut({ leaseId: id }, reason)
    if (type === 'agent.quarantined') proxy.cut({ agentId: id }, 'The agent was quarantined.')
  })
}
