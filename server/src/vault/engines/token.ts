import { AppError, Secret } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Policies } from '../acl/policies.ts'
import type { Answer, Body, Call, Engine, PathSpec, RenewalTerms } from '../engine.ts'
import { durationField, textField } from '../fields.ts'
import type { Identity } from '../identity/identity.ts'
import type { MountConfig } from '../mount-config.ts'
import type { StoredToken, TokenRecord } from '../tokens/token-record.ts'
import { type TokenRoles, tokenRoleView } from '../tokens/token-roles.ts'
import { authView, createTokenViews, tokenView } from '../tokens/token-view.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { listed } from './kv2.ts'
import { createToken, newTokenFields } from './token-create.ts'

type Needs = {
  tokens: Tokens
  roles: TokenRoles
  policies: Pick<Policies, 'read'>
  identity: Pick<Identity, 'enter'>
  accessor: string
  /** What the mount was last tuned to. */
  config: () => MountConfig
  /** How far whoever gave the token out lets it be renewed now. */
  renewalTerms: (tx: Tx, token: TokenRecord) => Promise<RenewalTerms>
}

/** How many tokens one tidying removes; the rest goes by itself soon after. */
const tidiedAtOnce = 1000

/** `auth/token/`: what makes, shows, prolongs and ends tokens. */
export function createTokenEngine(needs: Needs): Engine {
  const { tokens } = needs
  const viewOf = createTokenViews()
  const lookupSelf = ({ token, presented, now }: Call): Answer => ({
    dataText: viewOf(token, now, presented),
  })
  const events = { update: 'token.revoked' } as const
  return {
    type: 'token',
    paths: [
      {
        pattern: 'create',
        takes: newTokenFields,
        events: { update: 'token.created' },
        update: (tx, call) => createToken(needs, tx, call, false),
      },
      {
        pattern: 'create/{role}',
        takes: newTokenFields,
        events: { update: 'token.created' },
        update: (tx, call) => createToken(needs, tx, call, false),
      },
      {
        pattern: 'create-orphan',
        takes: newTokenFields,
        events: { update: 'token.created' },
        sudo: true,
        update: (tx, call) => createToken(needs, tx, call, true),
      },
      {
        pattern: 'lookup-self',
        read: lookupSelf,
        update: async (_, call) => lookupSelf(call),
      },
      {
        pattern: 'lookup',
        read: (call) => lookup(tokens, lookupSelf, undefined, call, textField(call.query, 'token')),
        update: (tx, call) => lookup(tokens, lookupSelf, tx, call, textField(call.body, 'token')),
      },
      {
        pattern: 'lookup-accessor',
        async update(tx, { body, now }) {
          const { record } = await byAccessor(tokens, body, tx)
          return { data: tokenView(record, now, '', await tokens.identityPoliciesOf(record)) }
        },
      },
      {
        pattern: 'renew-self',
        update: (tx, call) => renew(needs, tx, call, call.token, call.presented.reveal()),
      },
      {
        pattern: 'renew',
        update: async (tx, call) => renew(needs, tx, call, await named(tokens, call.body, tx)),
      },
      {
        pattern: 'renew-accessor',
        update: async (tx, call) => renew(needs, tx, call, await byAccessor(tokens, call.body, tx)),
      },
      {
        pattern: 'revoke-self',
        events,
        update: async (tx, { token }) => revoked(await tokens.revoke(tx, revocable(token).row)),
      },
      {
        pattern: 'revoke',
        events,
        async update(tx, { body }) {
          const found = await tokens.find(requiredToken(body), tx)
          return revoked(found ? await tokens.revoke(tx, revocable(found).row) : [])
        },
      },
      {
        pattern: 'revoke-accessor',
        events,
        async update(tx, { body }) {
          const found = await tokens.findByAccessor(requiredAccessor(body), tx)
          if (!found) return { warnings: ['No token found with this accessor'] }
          return revoked(await tokens.revoke(tx, found.row))
        },
      },
      {
        pattern: 'revoke-orphan',
        events,
        sudo: true,
        async update(tx, { body }) {
          const found = await tokens.find(requiredToken(body), tx)
          if (!found) throw new AppError('request.invalid', 'token to revoke not found')
          return revoked(await tokens.revokeOrphan(tx, revocable(found).row))
        },
      },
      {
        pattern: 'accessors',
        sudo: true,
        list: async () => ({ data: { keys: await tokens.accessors() } }),
      },
      {
        pattern: 'tidy',
        update: (tx) => tidy(tokens, tx),
      },
      ...rolePaths(needs.roles),
    ],
    async wipe() {
      throw new AppError('request.invalid', 'the token mount is always there')
    },
  }
}

function requiredToken(body: Body): Secret {
  const token = textField(body, 'token')
  if (!token) throw new AppError('request.invalid', 'missing token ID')
  return new Secret(token)
}

async function named(tokens: Tokens, body: Body, reader: Reader): Promise<StoredToken> {
  const found = await tokens.find(requiredToken(body), reader)
  if (!found) throw new AppError('request.invalid', 'token not found')
  return found
}

function requiredAccessor(body: Body): string {
  const accessor = textField(body, 'accessor')
  if (!accessor) throw new AppError('request.invalid', 'missing accessor')
  return accessor
}

async function byAccessor(tokens: Tokens, body: Body, reader: Reader): Promise<StoredToken> {
  const found = await tokens.findByAccessor(requiredAccessor(body), reader)
  if (!found) throw new AppError('request.invalid', 'invalid accessor')
  return found
}

/** Who names no token asks about their own. */
async function lookup(
  tokens: Tokens,
  lookupSelf: (call: Call) => Answer,
  reader: Reader | undefined,
  call: Call,
  named: string | undefined,
): Promise<Answer> {
  if (!named) return lookupSelf(call)
  const token = new Secret(named)
  const found = await tokens.find(token, reader)
  if (!found) throw new AppError('token.invalid', 'bad token')
  const identityPolicies = await tokens.identityPoliciesOf(found.record)
  return { data: tokenView(found.record, call.now, token.reveal(), identityPolicies) }
}

function revocable(token: StoredToken): StoredToken {
  if (token.record.batch) throw new AppError('request.invalid', 'batch tokens cannot be revoked')
  return token
}

const revoked = (records: readonly TokenRecord[]): Answer => ({
  note: { tokens: records.map(({ id }) => id) },
})

function rolePaths(roles: TokenRoles): PathSpec[] {
  return [
    { pattern: 'roles', list: async () => listed(await roles.names()) },
    {
      pattern: 'roles/{role}',
      exists: async ({ params }, reader) => (await roles.read(params['role'] ?? '', reader)) !== undefined,
      async read({ params }) {
        const role = await roles.read(params['role'] ?? '')
        return role && { data: tokenRoleView(role) }
      },
      async update(tx, { params, body }) {
        await roles.write(tx, params['role'] ?? '', body)
        return {}
      },
      async delete(tx, { params }) {
        await roles.remove(tx, params['role'] ?? '')
        return {}
      },
    },
  ]
}

/** Removes what has expired and was not yet removed; nothing else can be left over. */
async function tidy(tokens: Tokens, tx: Tx): Promise<Answer> {
  const ended: TokenRecord[] = []
  for (const row of await tokens.expired(tidiedAtOnce)) ended.push(...(await tokens.revoke(tx, row)))
  const warning = `Tidy operation has finished: ${ended.length} expired tokens were removed.`
  return { status: 202, warnings: [warning], note: { tokens: ended.map(({ id }) => id) } }
}

async function renew(
  { tokens, renewalTerms }: Needs,
  tx: Tx,
  { body, now }: Call,
  token: StoredToken,
  value = textField(body, 'token') ?? '',
): Promise<Answer> {
  if (token.record.batch) throw new AppError('request.invalid', 'batch tokens cannot be renewed')
  const terms = await renewalTerms(tx, token.record)
  const record = await tokens.renew(tx, token, durationField(body, 'increment'), terms)
  const identityPolicies = await tokens.identityPoliciesOf(record)
  return { auth: authView(record, value, now, identityPolicies), note: { token: record.id } }
}
