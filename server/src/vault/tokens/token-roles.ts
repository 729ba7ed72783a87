import { AppError } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import { assertGivable } from '../acl/policies.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { checkedCidrs, shownCidr } from '../cidr.ts'
import type { Body } from '../engine.ts'
import { booleanField, countField, durationField, listField, textField } from '../fields.ts'

/** What `auth/token/create/<role>` may and must make. 0 and an empty list: nothing is said. */
export type TokenRole = {
  readonly name: string
  readonly allowedPolicies: readonly string[]
  readonly allowedPoliciesGlob: readonly string[]
  readonly disallowedPolicies: readonly string[]
  readonly disallowedPoliciesGlob: readonly string[]
  /** Names under which its tokens may belong to an entity; `*` stands for anything. Absent in roles of older servers. */
  readonly allowedEntityAliases?: readonly string[]
  readonly orphan: boolean
  readonly renewable: boolean
  readonly pathSuffix: string
  readonly boundCidrs: readonly string[]
  readonly explicitMaxTtlSeconds: number
  readonly noDefaultPolicy: boolean
  readonly uses: number
  readonly periodSeconds: number
  readonly type: 'service' | 'batch' | 'default-service' | 'default-batch'
  /** What was last written by its older name, without `token_`: it is shown by both, for the clients that wrote it so. */
  readonly olderNames?: readonly OlderName[]
}
const olderNames = ['explicit_max_ttl', 'period'] as const
type OlderName = (typeof olderNames)[number]

export type TokenRoles = {
  names(): Promise<string[]>
  read(name: string, reader?: Reader): Promise<TokenRole | undefined>
  /** Makes the role, or changes what the body names. */
  write(tx: Tx, name: string, body: Body): Promise<void>
  remove(tx: Tx, name: string): Promise<void>
}

const folder = 'sys/token-role/'
const longestName = 128

export function createTokenRoles(barrier: Pick<Barrier, 'get' | 'put' | 'delete' | 'list'>): TokenRoles {
  async function read(name: string, reader?: Reader): Promise<TokenRole | undefined> {
    const bytes = await barrier.get(folder + name, reader)
    return bytes && (JSON.parse(bytes.toString('utf8')) as TokenRole)
  }
  return {
    names: () => barrier.list(folder),
    read,
    async write(tx, name, body) {
      if (!/^[\w-][\w.-]*$/.test(name) || name.length > longestName)
        throw new AppError(
          'request.invalid',
          `a token role's name has 1 to ${longestName} letters, digits, hyphens, underscores and periods`,
        )
      const role = roleFrom(body, (await read(name, tx)) ?? plainRole(name))
      await barrier.put(tx, folder + name, JSON.stringify(role))
    },
    async remove(tx, name) {
      await barrier.delete(tx, folder + name)
    },
  }
}

const plainRole = (name: string): TokenRole => ({
  name,
  allowedPolicies: [],
  allowedPoliciesGlob: [],
  disallowedPolicies: [],
  disallowedPoliciesGlob: [],
  orphan: false,
  renewable: true,
  pathSuffix: '',
  boundCidrs: [],
  explicitMaxTtlSeconds: 0,
  noDefaultPolicy: false,
  uses: 0,
  periodSeconds: 0,
  type: 'default-service',
})

function roleFrom(body: Body, current: TokenRole): TokenRole {
  const isOlder = (name: OlderName): boolean =>
    body[`token_${name}`] === undefined && (name in body || current.olderNames?.includes(name) === true)
  const role: TokenRole = {
    ...policyRules(body, current),
    ...tokenLimits(body, current),
    olderNames: olderNames.filter(isOlder),
  }
  assertBatchable(role)
  return role
}

function policyRules(body: Body, current: TokenRole): TokenRole {
  const names = (field: string): string[] | undefined =>
    listField(body, field)?.map((name) => name.toLowerCase())
  const allowed = names('allowed_policies')
  for (const name of allowed ?? []) if (name !== 'root') assertGivable(name)
  return {
    ...current,
    allowedPolicies: allowed ?? current.allowedPolicies,
    allowedPoliciesGlob: names('allowed_policies_glob') ?? current.allowedPoliciesGlob,
    disallowedPolicies: names('disallowed_policies') ?? current.disallowedPolicies,
    disallowedPoliciesGlob: names('disallowed_policies_glob') ?? current.disallowedPoliciesGlob,
    allowedEntityAliases: names('allowed_entity_aliases') ?? current.allowedEntityAliases ?? [],
    orphan: booleanField(body, 'orphan') ?? current.orphan,
    renewable: booleanField(body, 'renewable') ?? current.renewable,
    noDefaultPolicy: booleanField(body, 'token_no_default_policy') ?? current.noDefaultPolicy,
    pathSuffix: suffixFrom(textField(body, 'path_suffix')) ?? current.pathSuffix,
  }
}

/** The names without `token_` are older ones. */
function tokenLimits(
  body: Body,
  current: TokenRole,
): Pick<TokenRole, 'boundCidrs' | 'explicitMaxTtlSeconds' | 'uses' | 'periodSeconds' | 'type'> {
  const cidrs = listField(body, 'token_bound_cidrs') ?? listField(body, 'bound_cidrs')
  return {
    boundCidrs: cidrs ? checkedCidrs(cidrs, 'token_bound_cidrs') : current.boundCidrs,
    explicitMaxTtlSeconds:
      durationField(body, 'token_explicit_max_ttl') ??
      durationField(body, 'explicit_max_ttl') ??
      current.explicitMaxTtlSeconds,
    uses: countField(body, 'token_num_uses', "'token_num_uses' cannot be negative") ?? current.uses,
    periodSeconds:
      durationField(body, 'token_period') ?? durationField(body, 'period') ?? current.periodSeconds,
    type: typeFrom(textField(body, 'token_type')) ?? current.type,
  }
}

function assertBatchable({
  type,
  orphan,
  renewable,
  periodSeconds,
  uses,
  explicitMaxTtlSeconds,
}: TokenRole): void {
  if (type !== 'batch') return
  const wrong = [
    [!orphan, "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens"],
    [periodSeconds > 0, "'token_type' cannot be 'batch' when role is set to generate periodic tokens"],
    [renewable, "'token_type' cannot be 'batch' when role is set to generate renewable tokens"],
    [
      explicitMaxTtlSeconds > 0,
      "'token_type' cannot be 'batch' when role is set to generate tokens with an explicit max TTL",
    ],
    [uses > 0, "'token_type' cannot be 'batch' when role is set to generate tokens with limited use count"],
  ].find(([holds]) => holds)
  if (wrong) throw new AppError('request.invalid', String(wrong[1]))
}

function typeFrom(written: string | undefined): TokenRole['type'] | undefined {
  switch (written?.replace('_', '-')) {
    case undefined:
    case '':
      return undefined
    case 'service':
      return 'service'
    case 'batch':
      return 'batch'
    case 'default-service':
      return 'default-service'
    case 'default-batch':
      return 'default-batch'
    default:
      throw new AppError('request.invalid', `invalid 'token_type' value "${written}"`)
  }
}

function suffixFrom(written: string | undefined): string | undefined {
  if (written !== undefined && written !== '' && !/^\w(?:[\w.-]*\w)?$/.test(written))
    throw new AppError(
      'request.invalid',
      'given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w',
    )
  return written
}

export function tokenRoleView(role: TokenRole): Record<string, unknown> {
  const isOlder = (name: OlderName): boolean => role.olderNames?.includes(name) ?? false
  return {
    allowed_entity_aliases: role.allowedEntityAliases?.length ? role.allowedEntityAliases : null,
    allowed_policies: role.allowedPolicies,
    allowed_policies_glob: role.allowedPoliciesGlob,
    disallowed_policies: role.disallowedPolicies,
    disallowed_policies_glob: role.disallowedPoliciesGlob,
    explicit_max_ttl: isOlder('explicit_max_ttl') ? role.explicitMaxTtlSeconds : 0,
    name: role.name,
    orphan: role.orphan,
    path_suffix: role.pathSuffix,
    period: isOlder('period') ? role.periodSeconds : 0,
    renewable: role.renewable,
    ...(role.boundCidrs.length > 0 ? { token_bound_cidrs: role.boundCidrs.map(shownCidr) } : {}),
    token_explicit_max_ttl: role.explicitMaxTtlSeconds,
    token_no_default_policy: role.noDefaultPolicy,
    ...(role.uses > 0 ? { token_num_uses: role.uses } : {}),
    token_period: role.periodSeconds,
    token_type: role.type,
  }
}
