import type { Injection } from '@keyward/contract'
import type { EgressRule } from '../destination.ts'

/** What the line of a destination says of it, by how the secret for it is lent; nothing where HTTP is spoken. */
export function relayRuleOf(injection: Injection | undefined): Pick<EgressRule, 'relay' | 'caPem'> {
  switch (injection?.kind) {
    case 'postgres':
      return { relay: { kind: injection.kind, tls: injection.tls }, ...authorityOf(injection) }
    case 'redis': {
      const { kind, tls, allow = [] } = injection
      return { relay: { kind, tls, allow }, ...authorityOf(injection) }
    }
    case 'ssh':
      return { relay: { kind: injection.kind } }
    default:
      return {}
  }
}

const authorityOf = ({ caPem }: { caPem?: string | undefined }): { caPem?: string } =>
  caPem === undefined ? {} : { caPem }
