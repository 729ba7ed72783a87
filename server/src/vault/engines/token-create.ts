import { AppError, Secret } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Policies } from '../acl/policies.ts'
import type { Answer, Body, Call } from '../engine.ts'
import { booleanField, countField, durationField, listField, textField, textMapField } from '../fields.ts'
import { fitsGlob } from '../glob.ts'
import type { Identity } from '../identity/identity.ts'
import type { MountConfig } from '../mount-config.ts'
import { policiesFor } from '../tokens/token-policies.ts'
import type { TokenRole, TokenRoles } from '../tokens/token-roles.ts'
import { authView } from '../tokens/token-view.ts'
import type { NewToken, Tokens } from '../tokens/tokens.ts'

type Needs = {
  tokens: Pick<Tokens, 'create' | 'identityPoliciesOf'>
  roles: Pick<TokenRoles, 'read'>
  policies: Pick<Policies, 'read'>
  identity: Pick<Identity, 'enter'>
  /** Of the token mount itself: aliases that callers name are known to it. */
  accessor: string
  /** What the mount was last tuned to. */
  config: () => MountConfig
}

export const newTokenFields: readonly string[] = [
  'display_name',
  'entity_alias',
  'explicit_max_ttl',
  'id',
  'lease',
  'meta',
  'no_default_policy',
  'no_parent',
  'num_uses',
  'period',
  'policies',
  'renewable',
  'ttl',
  'type',
]

/** `create`, `create-orphan` and `create/<role>`. */
export async function createToken(needs: Needs, tx: Tx, call: Call, orphanPath: boolean): Promise<Answer> {
  const { body, token: parent, params } = call
  const mighty = parent.acl.allows(call.path, 'sudo')
  const role = await roleOf(needs, tx, params['role'])
  assertMayCreate(call, mighty)
  const orphan = orphanPath || role?.orphan === true || booleanField(body, 'no_parent') === true
  const policies = policiesFor({
    asked: namesIn(body),
    parent: parent.record,
    role,
    noDefaultPolicy: booleanField(body, 'no_default_policy') === true,
    mighty,
  })
  const wanted: NewToken = {
    policies,
    metadata: textMapField(body, 'meta') ?? null,
    displayName: displayNameOf(textField(body, 'display_name')),
    path: pathOf(call, role),
    parent: orphan ? null : parent.row,
    ...(await entityOf(needs, tx, call, role, orphan)),
    ttlSeconds: durationField(body, 'ttl') ?? durationField(body, 'lease'),
    endless: policies.includes('root') && parent.record.expiresAt === null,
    value: customId(body),
    ...limitsOf(body, role),
    // A token for certain addresses makes none for others, unless a role says which.
    boundCidrs: role?.boundCidrs.length ? role.boundCidrs : (parent.record.boundCidrs ?? []),
  }
  if (isBatch(body, role)) assertBatchable(wanted)
  const { defaultTtlSeconds, maxTtlSeconds } = needs.config()
  const { token, record, warnings } = await needs.tokens.create(tx, {
    ...wanted,
    defaultTtlSeconds,
    maxTtlSeconds,
    ...(isBatch(body, role) ? { batch: true } : {}),
  })
  for (const name of policies)
    if ((await needs.policies.read(name, tx)) === undefined) warnings.push(`Policy "${name}" does not exist`)
  return {
    auth: authView(record, token.reveal(), call.now, await needs.tokens.identityPoliciesOf(record)),
    warnings,
    note: { token: record.id, policies: [...policies] },
  }
}

/** A text is one name, commas and all: as a list it could hold more than its writer meant. */
const namesIn = ({ policies }: Body): string[] =>
  listField({ policies: typeof policies === 'string' ? [policies] : policies }, 'policies') ?? []

async function roleOf({ roles }: Needs, tx: Tx, name: string | undefined): Promise<TokenRole | undefined> {
  if (name === undefined) return undefined
  const role = await roles.read(name, tx)
  if (!role) throw new AppError('request.invalid', `unknown role ${name}`)
  return role
}

/** A child belongs to whom its parent belongs to. A role may let its holder name another. */
async function entityOf(
  { identity, accessor }: Needs,
  tx: Tx,
  { body, token }: Call,
  role: TokenRole | undefined,
  orphan: boolean,
): Promise<Pick<NewToken, 'entityId'>> {
  const alias = textField(body, 'entity_alias')?.toLowerCase()
  if (!alias) {
    const { entityId } = token.record
    return orphan || entityId === undefined ? {} : { entityId }
  }
  if (!role)
    throw new AppError('request.invalid', "'entity_alias' is only allowed in combination with token role")
  if (!role.allowedEntityAliases?.some((glob) => fitsGlob(glob, alias)))
    throw new AppError('request.invalid', "invalid 'entity_alias' value")
  const { entity } = await identity.enter(tx, { mountAccessor: accessor, name: alias, metadata: {} })
  return { entityId: entity.id }
}

/** What the caller asks and what the role says; of two limits the narrower one. */
function limitsOf(
  body: Body,
  role: TokenRole | undefined,
): Pick<NewToken, 'usesLeft' | 'renewable' | 'explicitMaxTtlSeconds' | 'periodSeconds' | 'role'> {
  return {
    usesLeft: narrower(countField(body, 'num_uses', 'number of uses cannot be negative'), role?.uses) || null,
    renewable: (booleanField(body, 'renewable') ?? true) && role?.renewable !== false,
    explicitMaxTtlSeconds: narrower(durationField(body, 'explicit_max_ttl'), role?.explicitMaxTtlSeconds),
    periodSeconds: narrower(durationField(body, 'period'), role?.periodSeconds),
    ...(role ? { role: role.name } : {}),
  }
}

const narrower = (a = 0, b = 0): number => (a > 0 && b > 0 ? Math.min(a, b) : a || b)

function pathOf({ path }: Call, role: TokenRole | undefined): string {
  return role?.pathSuffix ? `${path}/${role.pathSuffix}` : path
}

function assertMayCreate({ body, token }: Call, mighty: boolean): void {
  if (token.record.usesLeft !== null)
    throw new AppError('request.invalid', 'restricted use token cannot generate child tokens')
  if (token.record.batch) throw new AppError('request.invalid', 'batch tokens cannot create more tokens')
  if (mighty) return
  const asked = [
    [booleanField(body, 'no_parent'), 'create orphan token'],
    [textField(body, 'id'), 'specify token id'],
    [durationField(body, 'period'), 'create periodic tokens'],
  ].find(([value]) => value)
  if (asked) throw new AppError('policy.denied', `root or sudo privileges required to ${asked[1]}`)
}

/** A role that says `service` or `batch` decides; else the caller does, and a role may say what is usual. */
function isBatch(body: Body, role: TokenRole | undefined): boolean {
  const asked = textField(body, 'type') || ''
  if (asked !== '' && asked !== 'service' && asked !== 'batch')
    throw new AppError('request.invalid', `invalid 'token_type' value "${asked}": "service" or "batch"`)
  if (role?.type === 'service' || role?.type === 'batch') return role.type === 'batch'
  return asked === '' ? role?.type === 'default-batch' : asked === 'batch'
}

function assertBatchable(wanted: NewToken): void {
  const wrong = [
    [wanted.periodSeconds, 'batch tokens cannot have "period" set'],
    [wanted.usesLeft, 'batch tokens cannot have "num_uses" set'],
    [wanted.explicitMaxTtlSeconds, 'batch tokens cannot have "explicit_max_ttl" set'],
    [wanted.value, 'batch tokens cannot have "id" set'],
    [wanted.policies.includes('root'), 'batch tokens cannot be root tokens'],
  ].find(([holds]) => holds)
  if (wrong) throw new AppError('request.invalid', String(wrong[1]))
}

function customId(body: Body): Secret | undefined {
  const id = textField(body, 'id')
  if (!id) return undefined
  if (id.startsWith('s.'))
    throw new AppError('request.invalid', "custom token ID cannot have the 's.' prefix")
  if (id.includes('.'))
    throw new AppError('request.invalid', "custom token ID cannot have a '.' in the value")
  if (/\s/.test(id)) throw new AppError('request.invalid', 'custom token ID cannot have spaces')
  return new Secret(id)
}

function displayNameOf(asked: string | undefined): string {
  const clean = (asked ?? '').replace(/[^a-zA-Z0-9-]/g, '-').replace(/^-+|-+$/g, '')
  return clean === '' ? 'token' : `token-${clean}`
}
