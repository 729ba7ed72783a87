export { type Agent, agentPrincipal, agentView } from './agents.ts'
export {
  type AgentPrincipal,
  createIdentity,
  type Identity,
  type PersonPrincipal,
  type SessionKind,
  type StartedSession,
} from './identity.ts'
export { identityMigrations } from './identity-store.ts'
export type { Person } from './people.ts'
export { hashToken, randomToken, sameHash } from './token.ts'
