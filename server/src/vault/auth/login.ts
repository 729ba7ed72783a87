import { AppError } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import { containsAddress } from '../cidr.ts'
import type { Answer, OpenCall } from '../engine.ts'
import type { Identity } from '../identity/identity.ts'
import type { MountConfig } from '../mount-config.ts'
import { greatestTtl } from '../tokens/lifetime.ts'
import { authView } from '../tokens/token-view.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { TokenTerms } from './token-terms.ts'

/** Who has just proved to an auth method who they are. */
export type SignedIn = {
  /** The user or role, as the mount knows it: it is asked again when the token is renewed. */
  readonly name: string
  /** Their name for good: it finds the entity. */
  readonly aliasName: string
  /** Groups that the method says they are in; undefined when it says nothing of groups. */
  readonly groups?: readonly string[]
  readonly displayName: string
  readonly metadata: Readonly<Record<string, string>>
  readonly terms: TokenTerms
}
/** The mount where it happened. */
export type LoginMount = {
  readonly id: string
  readonly accessor: string
  readonly config: () => MountConfig
}
/** What every auth method needs to let somebody in. */
export type SignInNeeds = {
  readonly tokens: Pick<Tokens, 'create'>
  readonly identity: Pick<Identity, 'enter'>
}

/** Refuses a caller whose address the terms exclude, in the words of a token that is not valid. */
export function assertAddress({ boundCidrs }: TokenTerms, { remoteAddress }: OpenCall): void {
  if (!containsAddress(boundCidrs, remoteAddress)) throw new AppError('policy.denied')
}

/** Makes the token of a login. It has no parent: it ends by itself, or with its mount. */
export async function signIn(
  tx: Tx,
  { tokens, identity }: SignInNeeds,
  { id, accessor, config }: LoginMount,
  { name, aliasName, groups, displayName, metadata, terms }: SignedIn,
  { path, now }: OpenCall,
): Promise<Answer> {
  const { defaultTtlSeconds, maxTtlSeconds } = config()
  const batch = isBatch(config(), terms)
  const subject = await identity.enter(tx, { mountAccessor: accessor, name: aliasName, metadata, groups })
  const { token, record, warnings } = await tokens.create(tx, {
    policies: [...new Set(terms.noDefaultPolicy ? terms.policies : ['default', ...terms.policies])].sort(),
    metadata,
    displayName,
    path,
    usesLeft: terms.uses || null,
    renewable: true,
    parent: null,
    endless: false,
    ttlSeconds: terms.ttlSeconds,
    explicitMaxTtlSeconds: terms.explicitMaxTtlSeconds,
    periodSeconds: terms.periodSeconds,
    defaultTtlSeconds,
    maxTtlSeconds: greatestTtl(terms.maxTtlSeconds, maxTtlSeconds),
    boundCidrs: terms.boundCidrs,
    entityId: subject.entity.id,
    issuer: { mountId: id, name },
    ...(batch ? { batch } : {}),
  })
  return {
    auth: authView(record, token.reveal(), now, subject.policies),
    ...(warnings.length > 0 ? { warnings } : {}),
    actor: `token:${record.id}`,
    note: {
      token: record.id,
      name,
      policies: [...record.policies],
      entity: subject.entity.id,
      ...(subject.policies.length > 0 ? { identityPolicies: [...subject.policies] } : {}),
    },
  }
}

/** Where the mount forces a type it counts, else what the role says, else the mount's default. */
function isBatch({ tokenType = 'default-service' }: MountConfig, { type }: TokenTerms): true | undefined {
  const wanted = tokenType === 'service' || tokenType === 'batch' || type === 'default' ? tokenType : type
  return wanted === 'batch' || wanted === 'default-batch' ? true : undefined
}
