import { createHmac } from 'node:crypto'
import { parseBody } from '../fields.ts'
import type { VaultRequest, VaultResponse } from '../request-context.ts'
import type { LiveToken } from '../tokens/token-record.ts'

export type Hashing = { readonly salt: string; readonly hashesAccessors: boolean }

type Json = unknown
type Fields = Record<string, Json>

/** As `sys/audit-hash` answers it: who knows a value can find it in a log, who reads a log learns no value. */
export const hashWith = (salt: string, value: string): string =>
  `hmac-sha256:${createHmac('sha256', salt).update(value, 'utf8').digest('hex')}`

export type Seen = {
  readonly id: string
  readonly request: VaultRequest
  readonly live: LiveToken | undefined
  readonly mountType: string | undefined
}

/** One line of a device's log, in the form that programs for Vault's logs read. Every text that may be a value is hashed. */
export function requestEntry(seen: Seen, at: Date, hashing: Hashing): Fields {
  return {
    time: at.toISOString(),
    type: 'request',
    ...authOf(seen, hashing),
    request: requestView(seen, hashing),
  }
}

export function responseEntry(seen: Seen, response: VaultResponse, at: Date, hashing: Hashing): Fields {
  const content = contentOf(response)
  const errors = Array.isArray(content['errors']) ? content['errors'] : []
  return {
    time: at.toISOString(),
    type: 'response',
    ...authOf(seen, hashing),
    request: requestView(seen, hashing),
    ...(errors.length > 0
      ? { error: errors.join('; ') }
      : { response: responseView(content, seen, hashing) }),
  }
}

function authOf({ live, request }: Seen, hashing: Hashing): Fields {
  if (!live || !request.token) return {}
  const { record } = live
  return {
    auth: {
      client_token: hashWith(hashing.salt, request.token.reveal()),
      accessor: accessor(record.accessor, hashing),
      display_name: record.displayName,
      policies: record.policies,
      token_policies: record.policies,
      metadata: record.metadata,
      ...(record.entityId ? { entity_id: record.entityId } : {}),
      token_type: record.batch ? 'batch' : 'service',
    },
  }
}

const accessor = (text: string, { salt, hashesAccessors }: Hashing): string =>
  hashesAccessors ? hashWith(salt, text) : text

const operations: Record<VaultRequest['method'], string> = {
  GET: 'read',
  HEAD: 'read',
  LIST: 'list',
  PUT: 'update',
  POST: 'update',
  DELETE: 'delete',
  PATCH: 'patch',
}

function requestView({ id, request, live, mountType }: Seen, hashing: Hashing): Fields {
  return {
    id,
    operation: operations[request.method],
    ...(mountType ? { mount_type: mountType } : {}),
    ...(request.token ? { client_token: hashWith(hashing.salt, request.token.reveal()) } : {}),
    ...(live ? { client_token_accessor: accessor(live.record.accessor, hashing) } : {}),
    namespace: { id: 'root' },
    path: request.path,
    ...dataOf(request, hashing),
    ...(request.remoteAddress ? { remote_address: request.remoteAddress } : {}),
  }
}

/** A body that is no JSON is refused later; nothing of it is written. */
function dataOf({ body, query }: VaultRequest, { salt }: Hashing): Fields {
  try {
    const data = { ...query, ...parseBody(body) }
    return Object.keys(data).length > 0 ? { data: hashed(data, salt) } : {}
  } catch {
    return {}
  }
}

function contentOf({ body }: VaultResponse): Fields {
  try {
    return JSON.parse(body?.reveal() ?? '{}') as Fields
  } catch {
    return {}
  }
}

function responseView(content: Fields, { mountType }: Seen, hashing: Hashing): Fields {
  const { data, auth, wrap_info: wrapInfo, warnings, lease_id: leaseId } = content
  return {
    ...(mountType ? { mount_type: mountType } : {}),
    ...(data ? { data: hashed(data, hashing.salt) } : {}),
    ...(auth ? { auth: hashedAuth(Object(auth) as Fields, hashing) } : {}),
    ...(wrapInfo ? { wrap_info: hashed(wrapInfo, hashing.salt) } : {}),
    ...(leaseId ? { secret: { lease_id: leaseId } } : {}),
    ...(Array.isArray(warnings) && warnings.length > 0 ? { warnings } : {}),
  }
}

const plainOfAuth: ReadonlySet<string> = new Set([
  'display_name',
  'policies',
  'token_policies',
  'identity_policies',
  'token_type',
  'entity_id',
])

function hashedAuth(auth: Fields, hashing: Hashing): Fields {
  return Object.fromEntries(
    Object.entries(auth).map(([name, value]) => {
      if (plainOfAuth.has(name)) return [name, value]
      if (name === 'accessor') return [name, accessor(String(value), hashing)]
      return [name, hashed(value, hashing.salt)]
    }),
  )
}

/** Every text in it; numbers, booleans and names of fields stay. */
function hashed(value: Json, salt: string): Json {
  if (typeof value === 'string') return hashWith(salt, value)
  if (Array.isArray(value)) return value.map((item) => hashed(item, salt))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hashed(item, salt)]))
}
