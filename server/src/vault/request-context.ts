import type { AuditEntry, EventName } from '@keyward/contract'
import type { EntryInput } from '../audit/index.ts'
import { AppError, actorOf, reasonOf, Secret } from '../core/index.ts'
import { parseDuration } from './duration.ts'
import type { Answer, Call, OpenCall, Operation, PathSpec, RawAnswer, WriteHandler } from './engine.ts'
import { parseBody } from './fields.ts'
import type { Match } from './router.ts'
import type { LiveToken } from './tokens/token-record.ts'

export type VaultRequest = {
  readonly method: 'GET' | 'HEAD' | 'LIST' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'
  /** Below `/v1/`, decoded; a list's path ends in `/`. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly token: Secret | undefined
  /** JSON text. */
  readonly body: Secret | undefined
  /** The other end of the socket. */
  readonly remoteAddress?: string | undefined
  /** `X-Vault-Wrap-TTL` as it was sent. */
  readonly wrapTtl?: string | undefined
}
/** `body` is JSON text and may hold values; `raw` comes instead of it. */
export type VaultResponse = {
  readonly status: number
  readonly body: Secret | undefined
  readonly raw?: RawAnswer
}

export const operations: Record<VaultRequest['method'], Operation> = {
  GET: 'read',
  HEAD: 'read',
  LIST: 'list',
  PUT: 'update',
  POST: 'update',
  DELETE: 'delete',
  PATCH: 'patch',
}

export type Context = {
  readonly requestId: string
  /** When it came. */
  readonly now: Date
  readonly request: VaultRequest
  readonly operation: Operation
  readonly matched: Match | undefined
  readonly wrapSeconds: number | undefined
  readonly live: LiveToken
}
export type OpenContext = Omit<Context, 'live'>
/** What an entry says beside its outcome. */
export type About = { readonly type: EventName; readonly actor: string; readonly target: string }

export function readHandlerOf(spec: PathSpec, operation: Operation): PathSpec['read'] {
  if (operation === 'update') return spec.post
  return operation === 'list' ? spec.list : spec.read
}

export function writeHandlerOf(spec: PathSpec, operation: Operation): WriteHandler | undefined {
  return operation === 'read' || operation === 'list' ? undefined : spec[operation]
}

export function tokenRefusal({ request, matched }: OpenContext, live: LiveToken | undefined): AppError {
  const words = request.token && !live ? matched?.spec.tokenRefusal : undefined
  return words === undefined ? new AppError('token.invalid') : new AppError('request.invalid', words)
}

export function tokenReason({ token }: VaultRequest, live: LiveToken | undefined): string {
  if (live) return 'the token is not for this address'
  return token ? 'the token is wrong, expired or revoked' : 'no token'
}

/** What is recorded of a failure: the table's words and our own, never those of an unknown error. */
export const auditReasonOf = (error: unknown): string =>
  error instanceof AppError ? reasonOf(error) : 'internal error'

export const hasSucceeded = (answer: Answer | undefined): answer is Answer =>
  answer !== undefined && (answer.status ?? 200) < 400

export const wantsWrapping = ({ wrapSeconds }: OpenContext, answer: Answer | undefined): boolean =>
  wrapSeconds !== undefined &&
  hasSucceeded(answer) &&
  !answer.wrapped &&
  !answer.whole &&
  Boolean(answer.data ?? answer.dataText ?? answer.auth)

export function noteOf(
  answer: Answer | undefined,
  sent: Answer | undefined,
): AuditEntry['detail'] | undefined {
  if (sent === answer || !sent) return answer?.note
  return answer?.note === undefined
    ? { wrapped: sent.note ?? null }
    : { ...Object(answer.note), wrapped: sent.note ?? null }
}

export const textOrNothing = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined

export function wrapSecondsOf({ wrapTtl }: VaultRequest): number | undefined {
  const refuse = (why: string): AppError =>
    new AppError('request.invalid', `error parsing X-Vault-Wrap-TTL header: ${why}`)
  return (wrapTtl && parseDuration(wrapTtl, 'X-Vault-Wrap-TTL', refuse)) || undefined
}

export function openCallOf(
  { request, operation, wrapSeconds, now }: OpenContext,
  { params }: Match,
): OpenCall {
  return {
    operation,
    path: request.path,
    params,
    query: request.query,
    body: parseBody(request.body),
    presented: request.token,
    now,
    remoteAddress: request.remoteAddress,
    wrapSeconds,
  }
}

/** `usesLeft`: when the token's uses are counted. */
export function callOf(
  { request, operation, wrapSeconds, now, live }: Context,
  { params }: Match,
  usesLeft: number | null,
): Call {
  return {
    operation,
    path: request.path,
    params,
    query: request.query,
    body: parseBody(request.body),
    presented: request.token ?? new Secret(''),
    now,
    remoteAddress: request.remoteAddress,
    wrapSeconds,
    token: usesLeft === null ? live : { ...live, record: { ...live.record, usesLeft } },
  }
}

/**
 * Names what was sent and is not known at the path. As in OpenBao that is said where there is an answer to say it in: a change
 * that answers nothing stays without one.
 */
export function withIgnored(
  { takes }: PathSpec,
  { query, body }: Call,
  answer: Answer | undefined,
): Answer | undefined {
  if (!takes || (isEmpty(query) && isEmpty(body))) return answer
  if (!hasSucceeded(answer) || !(answer.data ?? answer.dataText ?? answer.auth)) return answer
  const names = new Set([...Object.keys(query), ...Object.keys(body)])
  const ignored = [...names].filter((name) => !takes.includes(name)).sort()
  if (ignored.length === 0) return answer
  const warning = `Endpoint ignored these unrecognized parameters: [${ignored.join(' ')}]`
  return { ...answer, warnings: [...(answer.warnings ?? []), warning] }
}

function isEmpty(fields: object): boolean {
  for (const _ in fields) return false
  return true
}

export const aboutOf = ({ live }: Context, spec: PathSpec, call: Call): About => ({
  type: spec.events?.[call.operation] ?? 'vault.request',
  actor: actorOf(live.principal),
  target: spec.target?.(call) ?? `path:${call.path}`,
})

export const entryOf = (
  { requestId, operation }: OpenContext,
  about: About,
  outcome: AuditEntry['outcome'],
  note: AuditEntry['detail'] | undefined,
): EntryInput => ({
  type: about.type,
  outcome,
  actor: about.actor,
  target: about.target,
  correlation: requestId,
  // In the order in which it is stored.
  detail: note === undefined ? { operation } : { note, operation },
})

export const tokenEnded = (
  actor: string,
  tokenId: string,
  correlation: string,
  reason: string,
): EntryInput => ({
  type: 'token.revoked',
  outcome: 'done',
  actor,
  target: `token:${tokenId}`,
  correlation,
  detail: { reason },
})
