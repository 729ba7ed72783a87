import { AppError, Secret } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Policies } from '../acl/policies.ts'
import type { Answer, Body, Call, Engine } from '../engine.ts'
import { booleanField, countField, durationField, listField, textField, textMapField } from '../fields.ts'
import { ttlOf } from '../tokens/lifetime.ts'
import type { StoredToken, TokenRecord } from '../tokens/token-record.ts'
import type { Tokens } from '../tokens/tokens.ts'

type Needs = { tokens: Tokens; policies: Pick<Policies, 'read'> }

/** `auth/token/`: what makes, shows, prolongs and ends tokens. */
export function createTokenEngine(needs: Needs): Engine {
  const { tokens } = needs
  const revoked = { update: 'token.revoked' } as const
  return {
    type: 'token',
    paths: [
      {
        pattern: 'create',
        events: { update: 'token.created' },
        update: (tx, call) => create(needs, tx, call, false),
      },
      {
        pattern: 'create-orphan',
        events: { update: 'token.created' },
        sudo: true,
        update: (tx, call) => create(needs, tx, call, true),
      },
      {
        pattern: 'lookup-self',
        read: async (call) => lookupSelf(call),
        update: async (_, call) => lookupSelf(call),
      },
      {
        pattern: 'lookup',
        read: async (call) => lookupSelf(call),
        update: async (tx, call) => lookup(tokens, tx, call),
      },
      {
        pattern: 'lookup-accessor',
        update: async (tx, { body, now }) => ({
          data: view((await byAccessor(tokens, body, tx)).record, now, ''),
        }),
      },
      {
        pattern: 'renew-self',
        update: (tx, call) => renew(tokens, tx, call, call.token, call.presented.reveal()),
      },
      {
        pattern: 'renew',
        update: async (tx, call) => renew(tokens, tx, call, await named(tokens, call.body, tx)),
      },
      {
        pattern: 'renew-accessor',
        update: async (tx, call) => renew(tokens, tx, call, await byAccessor(tokens, call.body, tx)),
      },
      {
        pattern: 'revoke-self',
        events: revoked,
        update: async (tx, { token }) => ended(await tokens.revoke(tx, token.row)),
      },
      {
        pattern: 'revoke',
        events: revoked,
        async update(tx, { body }) {
          const found = await tokens.find(requiredToken(body), tx)
          return ended(found ? await tokens.revoke(tx, found.row) : [])
        },
      },
      {
        pattern: 'revoke-accessor',
        events: revoked,
        update: async (tx, { body }) =>
          ended(await tokens.revoke(tx, (await byAccessor(tokens, body, tx)).row)),
      },
      {
        pattern: 'revoke-orphan',
        events: revoked,
        sudo: true,
        update: async (tx, { body }) =>
          ended(await tokens.revokeOrphan(tx, (await named(tokens, body, tx)).row)),
      },
      {
        pattern: 'accessors',
        sudo: true,
        list: async () => ({ data: { keys: await tokens.accessors() } }),
      },
    ],
    async wipe() {
      throw new AppError('request.invalid', 'the token mount is always there')
    },
  }
}

function requiredToken(body: Body): Secret {
  const token = textField(body, 'token')
  if (!token) throw new AppError('request.invalid', 'missing token')
  return new Secret(token)
}

async function named(tokens: Tokens, body: Body, reader: Reader): Promise<StoredToken> {
  const found = await tokens.find(requiredToken(body), reader)
  if (!found) throw new AppError('request.invalid', 'token not found')
  return found
}

async function byAccessor(tokens: Tokens, body: Body, reader: Reader): Promise<StoredToken> {
  const accessor = textField(body, 'accessor')
  if (!accessor) throw new AppError('request.invalid', 'missing accessor')
  const found = await tokens.findByAccessor(accessor, reader)
  if (!found) throw new AppError('request.invalid', 'invalid accessor')
  return found
}

const lookupSelf = ({ token, presented, now }: Call): Answer => ({
  data: view(token.record, now, presented.reveal()),
})

async function lookup(tokens: Tokens, reader: Reader, { body, now }: Call): Promise<Answer> {
  const token = requiredToken(body)
  const found = await tokens.find(token, reader)
  if (!found) throw new AppError('token.invalid', 'bad token')
  return { data: view(found.record, now, token.reveal()) }
}

const ended = (records: readonly TokenRecord[]): Answer => ({ note: { tokens: records.map(({ id }) => id) } })

async function renew(
  tokens: Tokens,
  tx: Tx,
  { body, now }: Call,
  token: StoredToken,
  value = textField(body, 'token') ?? '',
): Promise<Answer> {
  const record = await tokens.renew(tx, token, durationField(body, 'increment'))
  return { auth: authView(record, value, now), note: { token: record.id } }
}

async function create(needs: Needs, tx: Tx, call: Call, orphanPath: boolean): Promise<Answer> {
  const { body, token: parent } = call
  const mighty = parent.acl.allows(call.path, 'sudo')
  assertMayCreate(call, mighty)
  const orphan = orphanPath || booleanField(body, 'no_parent') === true
  const policies = policiesFor(body, parent.record, mighty)
  const { token, record, warnings } = await needs.tokens.create(tx, {
    policies,
    metadata: textMapField(body, 'meta') ?? null,
    displayName: displayNameOf(textField(body, 'display_name')),
    path: call.path,
    usesLeft: countField(body, 'num_uses') || null,
    renewable: booleanField(body, 'renewable') ?? true,
    parent: orphan ? null : parent.row,
    ttlSeconds: durationField(body, 'ttl') ?? durationField(body, 'lease'),
    explicitMaxTtlSeconds: durationField(body, 'explicit_max_ttl'),
    periodSeconds: durationField(body, 'period'),
    endless: policies.includes('root') && parent.record.expiresAt === null,
    value: customId(body),
  })
  for (const name of policies)
    if ((await needs.policies.read(name, tx)) === undefined) warnings.push(`Policy "${name}" does not exist`)
  return {
    auth: authView(record, token.reveal(), call.now),
    warnings,
    note: { token: record.id, policies: [...policies] },
  }
}

function assertMayCreate({ body, token }: Call, mighty: boolean): void {
  if (token.record.usesLeft !== null)
    throw new AppError('request.invalid', 'restricted use token cannot generate child tokens')
  const type = textField(body, 'type') || 'service'
  if (type !== 'service' && type !== 'default-service')
    throw new AppError(
      'request.invalid',
      `token type "${type}" is not supported by this server; use "service"`,
    )
  if (mighty) return
  const asked = [
    [booleanField(body, 'no_parent'), 'create orphan token'],
    [textField(body, 'id'), 'specify token id'],
    [durationField(body, 'period'), 'create periodic tokens'],
  ].find(([value]) => value)
  if (asked) throw new AppError('policy.denied', `root or sudo privileges required to ${asked[1]}`)
}

function customId(body: Body): Secret | undefined {
  const id = textField(body, 'id')
  if (!id) return undefined
  if (/[\s.]/.test(id)) throw new AppError('request.invalid', 'a custom ID has neither spaces nor dots')
  return new Secret(id)
}

/** A child gets its parent's policies unless it asks for fewer; more needs `sudo`. Root only comes from root. */
function policiesFor(body: Body, parent: TokenRecord, mighty: boolean): string[] {
  const asked = listField(body, 'policies')?.map((name) => name.toLowerCase())
  const chosen = asked?.length ? asked : [...parent.policies]
  const ofRoot = parent.policies.includes('root')
  if (chosen.includes('root')) {
    if (!ofRoot)
      throw new AppError('request.invalid', 'root tokens may not be created without parent token being root')
    return ['root']
  }
  const withDefault = asked?.length ? booleanField(body, 'no_default_policy') !== true : false
  if (!ofRoot && !mighty && !chosen.every((name) => name === 'default' || parent.policies.includes(name)))
    throw new AppError('request.invalid', 'child policies must be subset of parent')
  return [...new Set(withDefault ? ['default', ...chosen] : chosen)].sort()
}

function displayNameOf(asked: string | undefined): string {
  const clean = (asked ?? '').replace(/[^a-zA-Z0-9-]/g, '-').replace(/^-+|-+$/g, '')
  return clean === '' ? 'token' : `token-${clean}`
}

/** A token as Vault shows it to who may look. `value` is the token only when the caller gave it. */
function view(record: TokenRecord, now: Date, value: string): Record<string, unknown> {
  const time = (milliseconds: number | null): string | null =>
    milliseconds === null ? null : new Date(milliseconds).toISOString()
  return {
    accessor: record.accessor,
    creation_time: Math.floor(record.createdAt / 1000),
    creation_ttl: record.creationTtlSeconds,
    display_name: record.displayName,
    entity_id: '',
    expire_time: time(record.expiresAt),
    explicit_max_ttl: record.explicitMaxTtlSeconds,
    id: value,
    issue_time: time(record.createdAt),
    ...(record.lastRenewedAt === null ? {} : { last_renewal_time: Math.floor(record.lastRenewedAt / 1000) }),
    meta: record.metadata,
    num_uses: record.usesLeft ?? 0,
    orphan: record.parent === null,
    path: record.path,
    ...(record.periodSeconds > 0 ? { period: record.periodSeconds } : {}),
    policies: record.policies,
    renewable: record.renewable,
    ttl: ttlOf(record, now.getTime()),
    type: 'service',
  }
}

function authView(record: TokenRecord, value: string, now: Date): Record<string, unknown> {
  return {
    client_token: value,
    accessor: record.accessor,
    policies: record.policies,
    token_policies: record.policies,
    metadata: record.metadata,
    lease_duration: ttlOf(record, now.getTime()),
    renewable: record.renewable,
    entity_id: '',
    token_type: 'service',
    orphan: record.parent === null,
    mfa_requirement: null,
    num_uses: record.usesLeft ?? 0,
  }
}
