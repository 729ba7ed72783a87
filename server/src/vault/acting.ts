import { AppError, type Principal, Secret } from '../core/index.ts'
import { rootAcl } from './acl/acl.ts'
import { isObject } from './fields.ts'
import { createRequestHandler } from './request.ts'
import type { VaultRequest, VaultResponse } from './request-context.ts'
import type { LiveToken } from './tokens/token-record.ts'

export type Act = {
  readonly method: VaultRequest['method']
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly wrapTtl?: string
}
/** The answer's JSON; undefined when there is nothing at the path. */
export type Acted = Readonly<Record<string, unknown>> | undefined

type Needs = Parameters<typeof createRequestHandler>[0]

/**
 * Carries out what a person or program may do by Keyward's own policies, on the way that the vault's tokens go: the same checks of
 * the engines, the same transaction with its audit entry, in the name of the principal. Whoever calls has asked policy before;
 * Cedar's word on the vault's own actions is asked again here.
 */
export function createActing(needs: Needs): (principal: Principal, act: Act) => Promise<Acted> {
  return async (principal, { method, path, body, wrapTtl }) => {
    const live = liveOf(principal)
    const tokens = { ...needs.tokens, known: () => live, spendUse: async () => null }
    const answer = await createRequestHandler(
      { ...needs, tokens },
      rethrow,
    )({
      method,
      path: method === 'LIST' && !path.endsWith('/') ? `${path}/` : path,
      query: {},
      token: new Secret(''),
      body: body ? new Secret(JSON.stringify(body)) : undefined,
      wrapTtl,
    })
    return acted(answer)
  }
}

/** Not stored, in no memory but this call's, and worth nothing to anybody who would present it. */
function liveOf(principal: Principal): LiveToken {
  const record = {
    id: principal.id,
    accessor: '',
    parent: null,
    policies: ['root'],
    metadata: null,
    displayName: principal.name,
    path: '',
    createdAt: 0,
    creationTtlSeconds: 0,
    expiresAt: null,
    explicitMaxTtlSeconds: 0,
    periodSeconds: 0,
    usesLeft: null,
    renewable: false,
    lastRenewedAt: null,
  }
  return { row: '', record, principal, acl: rootAcl, endsAt: Number.POSITIVE_INFINITY, revoked: false }
}

function rethrow(error: unknown): never {
  throw error
}

/** A refusal has been thrown; what is left are answers, among them those that say in words why there is none. */
function acted({ status, body }: VaultResponse): Acted {
  const parsed: unknown = body ? JSON.parse(body.reveal()) : {}
  const answer = isObject(parsed) ? parsed : {}
  if (status < 300) return answer
  if (status === 404) return undefined
  const [detail = `the vault answered ${status}`] = Array.isArray(answer['errors'])
    ? answer['errors'].map(String)
    : []
  throw new AppError('request.invalid', detail)
}
