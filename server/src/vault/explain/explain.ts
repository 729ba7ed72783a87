import { AppError, Secret } from '../../core/index.ts'
import { type Acl, compileAcl } from '../acl/acl.ts'
import type { Policies } from '../acl/policies.ts'
import { type PathRule, parsePolicy } from '../acl/policy-document.ts'
import { containsAddress } from '../cidr.ts'
import { parseDuration } from '../duration.ts'
import type { Call } from '../engine.ts'
import type { Identity } from '../identity/identity.ts'
import type { Subject as Identified } from '../identity/records.ts'
import type { Mount, Mounts } from '../mounts.ts'
import {
  type Asked,
  judge,
  secretPathOf,
  type Wanted,
  wantedAt,
  wantedNowhere,
  wantedToWrite,
  withoutToken,
} from '../permission.ts'
import type { Ceiling } from '../request.ts'
import { operations, type VaultRequest } from '../request-context.ts'
import type { Match } from '../router.ts'
import type { LiveToken, TokenRecord } from '../tokens/token-record.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { Explanation, Reason } from './explanation.ts'
import { type Facts, hintsFor, kv2Correction } from './hints.ts'
import { remedyFor } from './remedy.ts'
import { knownRules, type ReadPolicy, readPolicy, writtenPath } from './rules.ts'
import { mainReason } from './words.ts'

export type Question = {
  readonly method: VaultRequest['method']
  /** Below `/v1/`; a leading `/` or `/v1/` is taken off. */
  readonly path: string
  /** Names of what would be sent, with values where a rule may ask for them. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined
  readonly wrapTtl?: string | undefined
  /** Where the request would come from. */
  readonly remoteAddress?: string | undefined
}

/** Whose request it would be. */
export type Subject =
  | { readonly kind: 'token'; readonly token: Secret }
  | { readonly kind: 'accessor'; readonly accessor: string }
  /** Nobody's: policies that are perhaps not stored yet. */
  | { readonly kind: 'policies'; readonly policies: readonly { name: string; text: string }[] }

/** `seesAll`: mounts and existence may be told that the token itself could not see. */
export type Explain = (subject: Subject, question: Question, seesAll: boolean) => Promise<Explanation>

type Needs = {
  router: { match(path: string, list?: boolean): Match | undefined }
  mounts: Pick<Mounts, 'of' | 'all'>
  policies: Pick<Policies, 'read'>
  tokens: Pick<Tokens, 'authenticate' | 'findByAccessor' | 'aclOf'>
  identity: Pick<Identity, 'subjectOf'>
  ceiling: Ceiling
  now: () => Date
}

/** The token of a question with what it may do; without one only policies are asked about. */
type Holder = {
  readonly acl: Acl
  readonly policies: readonly ReadPolicy[]
  readonly live: LiveToken | undefined
}

/** Says what would happen to a request and why, without doing any of it. */
export function createExplain(needs: Needs): Explain {
  const { router, mounts, policies, tokens, identity, ceiling, now } = needs

  async function holderOf(subject: Subject): Promise<Holder> {
    if (subject.kind === 'policies') {
      const read = subject.policies.map(({ name, text }) => readPolicy(name, parsePolicy(text), undefined))
      const acl = compileAcl(read.map(({ rules = [] }) => rules))
      return { acl, policies: read, live: undefined }
    }
    if (subject.kind === 'token') {
      const live = await tokens.authenticate(subject.token)
      if (!live) throw new AppError('token.invalid')
      return { acl: live.acl, policies: await readAll(live.record, live.subject), live }
    }
    const found = await tokens.findByAccessor(subject.accessor)
    if (!found)
      throw new AppError(
        'request.invalid',
        'no token has this accessor: it never was, it was revoked, or its time is over',
      )
    const { record, row } = found
    const acl = await tokens.aclOf(record)
    const whose = record.entityId === undefined ? undefined : await identity.subjectOf(record.entityId)
    const principal = { kind: 'token', id: record.id, name: record.displayName, roles: [] } as const
    const live = { row, record, acl, principal, endsAt: Number.POSITIVE_INFINITY, revoked: false }
    return { acl, policies: await readAll(record, whose), live }
  }

  /** Its own policies, and those that come to it because of whose it is. */
  const readAll = (record: TokenRecord, whose: Identified | undefined): Promise<ReadPolicy[]> =>
    Promise.all(
      [...new Set([...record.policies, ...(whose?.policies ?? [])])].map(async (name) => {
        const text = await policies.read(name)
        return readPolicy(name, text === undefined ? undefined : parsed(text), whose)
      }),
    )

  /**
   * Whether a write creates or changes is looked up only when the answer decides, and there is somebody who could write: a token
   * that may do neither learns nothing about what is there.
   */
  async function wantedOf(asked: Asked, matched: Match | undefined, { acl, live }: Holder): Promise<Wanted> {
    const { operation, path } = asked
    if (!matched) return wantedNowhere(operation)
    const { spec } = matched
    const known = wantedAt(spec, operation, acl)
    if (known) return known
    const [mayCreate, mayUpdate] = [acl.allows(path, 'create'), acl.allows(path, 'update')]
    if (live && mayCreate !== mayUpdate)
      return wantedToWrite(spec, (await spec.exists?.(callOf(asked, matched, live, now()))) === true)
    const [, ...sudo] = wantedToWrite(spec, true).capabilities
    return mayCreate && mayUpdate
      ? { capabilities: ['create', 'update', ...sudo], mode: 'every' }
      : { capabilities: ['create', 'update'], mode: 'some' }
  }

  function visible({ acl }: Holder, seesAll: boolean): Mount[] {
    return mounts.all().filter((mount) => seesAll || isEverywhere(mount) || acl.touches(mount.path))
  }

  /** What stands beside the policies: the token itself, and Cedar's ceiling. */
  function circumstances(
    { live, policies: read }: Holder,
    { asked, verdict }: Facts,
    { remoteAddress }: Question,
    matched: Match | undefined,
  ): Further[] {
    if (verdict.kind === 'open') return []
    const further = read.flatMap((policy) => policyFurther(policy, asked.path, verdict.kind === 'refused'))
    if (!live) return further
    const call = matched && callOf(asked, matched, live, now())
    const ruling = ceiling(
      live.principal,
      asked.path,
      asked.operation,
      secretPathOf(asked.path, matched, call),
    )
    if (ruling && !ruling.allow)
      further.push({
        stops: true,
        reason: { code: 'ceiling', text: `Above the vault's policies: ${ruling.reason}` },
      })
    return [...further, ...tokenFurther(live.record, remoteAddress)]
  }
  const explain: Explain = async (subject, question, seesAll) => {
    const asked = askedOf(question)
    const holder = await holderOf(subject)
    const matched = router.match(asked.path, asked.operation === 'list')
    const visibleMounts = visible(holder, seesAll)
    const mount = visibleMounts.find(({ path }) => path === mounts.of(asked.path)?.path)
    // What the token cannot see is not told apart from what is not there.
    const open = matched !== undefined && withoutToken(matched.spec, asked.operation) !== undefined
    const match = mount || open ? matched : undefined
    const spec = match?.spec
    const wanted: Wanted = open ? { capabilities: [], mode: 'every' } : await wantedOf(asked, match, holder)
    const verdict = open ? ({ kind: 'open' } as const) : judge(asked, holder.acl, wanted, match)
    const rules = knownRules(holder.policies)
    const decidingPath = holder.acl.ruleOn(asked.path, asked.operation === 'list')
    const deciding = rules.filter(({ placed }) => placed.path === decidingPath)
    const facts: Facts = {
      asked,
      acl: holder.acl,
      verdict,
      wanted,
      spec,
      mount,
      visibleMounts,
      rules,
      deciding,
    }
    const further = circumstances(holder, facts, question, match)
    const passes = verdict.kind !== 'refused' && verdict.kind !== 'limited'
    const names = holder.policies.map(({ name }) => name)
    return {
      allowed: passes && !further.some(({ stops }) => stops),
      operation: asked.operation,
      path: asked.path,
      needs: wanted.capabilities,
      needsMode: wanted.mode,
      token: tokenView(holder.live?.record),
      mount: mount ? { path: mount.path, type: mount.type } : null,
      policies: holder.policies.map(({ name, rules: found }) => ({
        name,
        exists: found !== undefined || name === 'root',
        rules: found?.length ?? 0,
      })),
      deciding: deciding.map(({ placed }) => placed),
      reasons: ordered(mainReason(facts, names), further, hintsFor(facts)),
      remedy: await remedy(),
    }

    /** For the address that was meant, where the one that was asked cannot be it. */
    async function remedy(): Promise<string | null> {
      if (holder.acl.root || (seesAll && !mount)) return null
      const meant = kv2Correction(asked, mount)
      if (meant !== undefined) return (await explain(subject, { ...question, path: meant }, seesAll)).remedy
      return remedyFor(asked, verdict, { rules, deciding, wanted, match })
    }
  }
  return explain
}

/** Every vault has it, so that it exists is no news. */
const isEverywhere = ({ id, type }: Mount): boolean => id === type

/** A policy that does not exist, and rules of one that do not count. */
function policyFurther({ name, rules, unfilled }: ReadPolicy, path: string, refused: boolean): Further[] {
  const missing = {
    code: 'policy-missing',
    text: `The policy "${name}" does not exist, so it allows nothing.`,
  } as const
  const reasons: Reason[] = rules === undefined && name !== 'root' ? [missing] : []
  const meant = refused ? unfilled.filter((rule) => couldMean(rule, path)) : []
  reasons.push(...meant.map((rule) => templateReason(name, rule)))
  return reasons.map((reason) => ({ stops: false, reason }))
}

/** What stands before the template is how the path begins. */
const couldMean = ({ path }: PathRule, asked: string): boolean =>
  asked.startsWith(path.slice(0, path.indexOf('{{')))

const templateReason = (policy: string, rule: PathRule): Reason => ({
  code: 'template',
  text: `policy "${policy}", line ${rule.line} is for ${writtenPath(rule)}: that is not known of this token, so the rule does not count.`,
})

type Further = { readonly stops: boolean; readonly reason: Reason }

/** Where the policies allow it and something else does not, that comes first. */
function ordered(main: Reason, further: readonly Further[], hints: readonly Reason[]): Reason[] {
  const stopping = further.filter(({ stops }) => stops).map(({ reason }) => reason)
  const telling = further.filter(({ stops }) => !stops).map(({ reason }) => reason)
  const passes = ['granted', 'root', 'any-token'].includes(main.code)
  return passes ? [...stopping, main, ...hints, ...telling] : [main, ...hints, ...stopping, ...telling]
}

function tokenFurther(record: TokenRecord, remoteAddress: string | undefined): Further[] {
  const further: Further[] = []
  const { boundCidrs = [], usesLeft, expiresAt } = record
  if (boundCidrs.length > 0) {
    const outside = remoteAddress !== undefined && !containsAddress(boundCidrs, remoteAddress)
    const from = outside ? `, not from ${remoteAddress}` : ''
    further.push({
      stops: outside,
      reason: { code: 'token-address', text: `The token works from ${boundCidrs.join(', ')}${from}.` },
    })
  }
  if (usesLeft !== null)
    further.push({
      stops: usesLeft <= 0,
      reason: { code: 'token-uses', text: `The token can be used ${usesLeft} more times.` },
    })
  if (expiresAt !== null)
    further.push({
      stops: false,
      reason: {
        code: 'token-ends',
        text: `The token's time is over at ${new Date(expiresAt).toISOString()}.`,
      },
    })
  return further
}

function askedOf({ method, path, parameters = {}, wrapTtl }: Question): Asked {
  const operation = operations[method]
  const bare = path.replace(/^\/+/, '').replace(/^v1\//, '')
  if (bare === '' || /\p{Cc}/u.test(bare))
    throw new AppError('request.invalid', 'name the path of the request, for example secret/data/shop')
  return {
    operation,
    path: operation === 'list' && !bare.endsWith('/') ? `${bare}/` : bare,
    body: parameters,
    wrapSeconds: wrapTtl ? parseDuration(wrapTtl, 'wrapTtl') || undefined : undefined,
  }
}

/** A stored policy was parsed when it was written; what an older version let through counts as without rules. */
function parsed(text: string): readonly PathRule[] {
  try {
    return parsePolicy(text)
  } catch (error) {
    if (error instanceof AppError && error.code === 'policy.invalid') return []
    throw error
  }
}

const tokenView = (record: TokenRecord | undefined): Explanation['token'] =>
  record
    ? {
        id: record.id,
        accessor: record.accessor,
        displayName: record.displayName,
        expiresAt: record.expiresAt === null ? null : new Date(record.expiresAt),
      }
    : null

const callOf = (asked: Asked, { params }: Match, token: LiveToken, now: Date): Call => ({
  operation: asked.operation,
  path: asked.path,
  params,
  query: {},
  body: asked.body,
  token,
  presented: new Secret(''),
  now,
  remoteAddress: undefined,
  wrapSeconds: asked.wrapSeconds,
})
