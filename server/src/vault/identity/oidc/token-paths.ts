import { randomBytes } from 'node:crypto'
import { AppError } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec, RawAnswer, WriteHandler } from '../../engine.ts'
import { listed } from '../../engines/kv2.ts'
import { durationField, textField } from '../../fields.ts'
import type { Subject } from '../records.ts'
import { nameOf } from './key-paths.ts'
import {
  keyAlgorithms,
  type NamedKey,
  newPair,
  publishedOf,
  rotated,
  sign,
  usualSettings,
  withSettings,
} from './named-key.ts'
import type { TokenRole, TokenSettings } from './token-settings.ts'
import { assertTemplate, filledClaims } from './token-template.ts'

type Needs = {
  readonly settings: TokenSettings
  readonly isActive: (entityId: string) => Promise<boolean>
}

const usualTtlSeconds = 86_400
const skewSeconds = 60
const publicPath = '/v1/identity/oidc'

/** `identity/oidc`: tokens in which the vault says to others who somebody is. */
export function tokenPaths({ settings, isActive }: Needs): PathSpec[] {
  return [
    ...rolePaths(settings),
    {
      pattern: 'oidc/config',
      read: async () => ({ data: { issuer: await settings.issuer() } }),
      async update(tx, { body }) {
        await settings.setIssuer(tx, issuerFrom(textField(body, 'issuer') ?? ''))
        return {}
      },
    },
    { pattern: 'oidc/token/{name}', read: (call) => issue(settings, call) },
    {
      pattern: 'oidc/introspect',
      async post({ body, now }) {
        const problem = await problemWith(settings, isActive, body, now)
        return { raw: json(problem === undefined ? { active: true } : { active: false, error: problem }) }
      },
    },
    {
      pattern: 'oidc/.well-known/openid-configuration',
      anybody: { operations: ['read'], answer: async () => ({ raw: json(await discovery(settings)) }) },
    },
    {
      pattern: 'oidc/.well-known/keys',
      anybody: {
        operations: ['read'],
        answer: async ({ now }) => ({ raw: json({ keys: await published(settings, now) }) }),
      },
    },
  ]
}

const json = (value: unknown): RawAnswer => ({
  contentType: 'application/json',
  bytes: Buffer.from(JSON.stringify(value)),
})

function issuerFrom(written: string): string {
  if (written === '') return ''
  const url = URL.canParse(written) ? new URL(written) : undefined
  const plain = url && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search + url.hash === ''
  if (!plain || url.username !== '')
    throw new AppError(
      'request.invalid',
      'invalid issuer, which must include only a scheme, host, and optional port (e.g. https://example.com:8200)',
    )
  return url.origin
}

/** A server does not know under which address others reach it. */
async function effectiveIssuer(settings: TokenSettings): Promise<string> {
  const issuer = await settings.issuer()
  if (issuer === '')
    throw new AppError(
      'request.invalid',
      'no issuer: write the address of this server to identity/oidc/config',
    )
  return issuer + publicPath
}

async function discovery(settings: TokenSettings): Promise<Record<string, unknown>> {
  const issuer = await effectiveIssuer(settings)
  return {
    issuer,
    jwks_uri: `${issuer}/.well-known/keys`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: keyAlgorithms,
  }
}

async function published(settings: TokenSettings, now: Date) {
  const keys = await Promise.all((await settings.keyNames()).map((name) => settings.key(name)))
  return keys.filter((key) => key !== undefined).flatMap((key) => publishedOf(key, now.getTime()))
}

function rolePaths(settings: TokenSettings): PathSpec[] {
  return [
    { pattern: 'oidc/role', list: async () => listed(await settings.roleNames()) },
    {
      pattern: 'oidc/role/{name}',
      exists: async (call, reader) => (await settings.role(nameOf(call), reader)) !== undefined,
      async read(call) {
        const role = await settings.role(nameOf(call))
        if (!role) return undefined
        const { key, template, clientId, ttlSeconds } = role
        return { data: { client_id: clientId, key, template, ttl: ttlSeconds } }
      },
      post: (call) => writeRole(settings, call),
      async delete(tx, call) {
        await settings.removeRole(tx, nameOf(call))
        return {}
      },
    },
  ]
}

/** The key `default` is made when the first role asks for it, as in Vault. */
async function writeRole(settings: TokenSettings, call: Call): Promise<WriteHandler> {
  const name = nameOf(call)
  const wanted = textField(call.body, 'key')
  const missing = wanted === 'default' && !(await settings.key('default'))
  const pairs = missing ? ([await newPair('RS256'), await newPair('RS256')] as const) : undefined
  return async (tx) => {
    if (pairs && !(await settings.key('default', tx))) {
      const all = { ...usualSettings, allowedClientIds: ['*'] }
      await settings.setKey(tx, 'default', withSettings(all, undefined, pairs, call.now.getTime()))
    }
    const role = await roleFrom(settings, tx, call, await settings.role(name, tx))
    await settings.setRole(tx, name, role)
    return { note: { role: name, key: role.key } }
  }
}

async function roleFrom(
  settings: TokenSettings,
  tx: Tx,
  { body }: Call,
  before: TokenRole | undefined,
): Promise<TokenRole> {
  const role: TokenRole = {
    key: textField(body, 'key') ?? before?.key ?? '',
    template: decoded(textField(body, 'template')) ?? before?.template ?? '',
    clientId: textField(body, 'client_id') || before?.clientId || randomBytes(20).toString('base64url'),
    ttlSeconds: durationField(body, 'ttl') ?? before?.ttlSeconds ?? usualTtlSeconds,
  }
  if (role.key === '') throw new AppError('request.invalid', 'the key parameter is required')
  assertTemplate(role.template)
  const key = await settings.key(role.key, tx)
  if (!key) throw new AppError('request.invalid', `cannot find key "${role.key}"`)
  if (role.ttlSeconds > key.verificationSeconds)
    throw new AppError(
      'request.invalid',
      "a role's token ttl cannot be longer than the verification_ttl of the key it references",
    )
  return role
}

/** Clients may send the template in base64. */
function decoded(text: string | undefined): string | undefined {
  const plain = text === undefined ? '' : Buffer.from(text, 'base64').toString('utf8')
  return text && /^[A-Za-z0-9+/=\s]+$/.test(text) && plain.trim().startsWith('{') ? plain : text
}

/** A token for whom the request's token belongs to. A key whose time has come is rotated by the one who asks first. */
async function issue(settings: TokenSettings, call: Call): Promise<Answer | WriteHandler> {
  const roleName = nameOf(call)
  const role = await settings.role(roleName)
  if (!role) throw new AppError('request.invalid', `role "${roleName}" not found`)
  const key = await settings.key(role.key)
  if (!key) throw new AppError('request.invalid', `key "${role.key}" not found`)
  if (!key.allowedClientIds.includes('*') && !key.allowedClientIds.includes(role.clientId))
    throw new AppError(
      'request.invalid',
      `the key "${role.key}" does not list the client ID of the role "${roleName}" as an allowed client ID`,
    )
  const { subject } = call.token
  if (!subject) throw new AppError('request.invalid', "no entity associated with the request's token")
  const issuer = await effectiveIssuer(settings)
  if (key.rotatesAt > call.now.getTime()) return signed(key, role, subject, issuer, call.now)
  const fresh = await newPair(key.algorithm)
  const now = call.now.getTime()
  // Signed before the transaction by the pair that everybody knows to be the next one.
  const answer = await signed(rotated(key, fresh, now), role, subject, issuer, call.now)
  return async (tx) => {
    const stored = await settings.key(role.key, tx)
    if (stored?.current.kid === key.current.kid)
      await settings.setKey(tx, role.key, rotated(stored, fresh, now))
    return answer
  }
}

async function signed(
  key: NamedKey,
  role: TokenRole,
  subject: Subject,
  issuer: string,
  now: Date,
): Promise<Answer> {
  const issuedAt = Math.floor(now.getTime() / 1000)
  const ttlSeconds = Math.min(role.ttlSeconds, key.verificationSeconds)
  const token = await sign(key, {
    ...filledClaims(role.template, subject, now),
    iss: issuer,
    sub: subject.entity.id,
    aud: role.clientId,
    iat: issuedAt,
    exp: issuedAt + ttlSeconds,
    namespace: 'root',
  })
  return {
    data: { client_id: role.clientId, token, ttl: ttlSeconds },
    note: { entity: subject.entity.id, clientId: role.clientId },
  }
}

/** Why a token is not valid now; undefined when it is. */
async function problemWith(
  settings: TokenSettings,
  isActive: Needs['isActive'],
  body: Call['body'],
  now: Date,
): Promise<string | undefined> {
  const { compactVerify, createLocalJWKSet } = await import('jose')
  const issuer = await effectiveIssuer(settings)
  const keys = (await published(settings, now)) as { kty: string }[]
  let claims: Record<string, unknown>
  try {
    const options = { algorithms: [...keyAlgorithms] }
    const { payload } = await compactVerify(
      textField(body, 'token') ?? '',
      createLocalJWKSet({ keys }),
      options,
    )
    claims = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    return 'unable to validate the token signature'
  }
  const clientId = textField(body, 'client_id')
  if (claims['iss'] !== issuer) return 'error validating claims: invalid issuer claim (iss)'
  if (clientId && claims['aud'] !== clientId) return 'error validating claims: invalid audience claim (aud)'
  if (Number(claims['exp']) + skewSeconds < now.getTime() / 1000)
    return 'error validating claims: token is expired (exp)'
  return (await isActive(String(claims['sub']))) ? undefined : 'entity was not found or is disabled'
}
