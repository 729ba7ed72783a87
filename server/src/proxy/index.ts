export type { EgressRule } from './destination.ts'
export {
  type ChannelOwner,
  createProxy,
  type EgressClaim,
  type EgressRecord,
  type Gate,
  type Proxy,
  type ProxyHealth,
} from './proxy.ts'
export { createRedactor, type Redactor, redactionMark } from './redact.ts'
