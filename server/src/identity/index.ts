export { type Agent, agentPrincipal, agentView } from './agents.ts'
export {
  type AgentPrincipal,
  createIdentity,
  type Identity,
} from './identity.ts'
export { identityMigrations } from './identity-store.ts'
export { type Person, personView } from './people.ts'
export { principalNamed } from './principal-named.ts'
export { createRefusalRecorder } from './refusals.ts'
export { hashToken, randomToken, sameHash } from './token.ts'
