export type { EgressRule } from './destination.ts'
export type { ChannelOwner, EgressClaim, EgressRecord, Gate } from './gate.ts'
export { createProxy, type Proxy, type ProxyHealth } from './proxy.ts'
export { createRedactor, type Redactor, redactionMark } from './redact.ts'
