import type { AuditEntry, EventName } from '@keyward/contract'
import type { Audit, EntryInput } from '../audit/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  newUuid,
  type Principal,
  reasonOf,
  Secret,
} from '../core/index.ts'
import type { Durability, Reader, Store } from '../store/index.ts'
import type { Capability } from './acl/policy-document.ts'
import type { Answer, Body, Call, Operation, PathSpec } from './engine.ts'
import { isObject } from './fields.ts'
import { createReadLog } from './read-log.ts'
import { failureOf, renderAnswer } from './render.ts'
import type { Router } from './router.ts'
import type { LiveToken } from './tokens/token-record.ts'
import type { Tokens } from './tokens/tokens.ts'

export type VaultRequest = {
  readonly method: 'GET' | 'HEAD' | 'LIST' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'
  /** Below `/v1/`, decoded; a list's path ends in `/`. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly token: Secret | undefined
  /** JSON text. */
  readonly body: Secret | undefined
}
/** `body` is JSON text and may hold values. */
export type VaultResponse = { readonly status: number; readonly body: Secret | undefined }

/** A second opinion that can only refuse; undefined or `allow` lets the ACL's word stand. */
export type Ceiling = (
  principal: Principal,
  path: string,
  operation: Operation,
) => { allow: boolean; reason: string } | undefined

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  tokens: Tokens
  router: Pick<Router, 'match'>
  clock: Pick<Clock, 'now'>
  log: Log
  ceiling: Ceiling
  /** How far the entry of a read must have come before its value leaves. */
  readDurability: Durability
  isOpen: () => boolean
}

const operations: Record<VaultRequest['method'], Operation> = {
  GET: 'read',
  HEAD: 'read',
  LIST: 'list',
  PUT: 'update',
  POST: 'update',
  DELETE: 'delete',
  PATCH: 'patch',
}

type Context = {
  readonly requestId: string
  readonly request: VaultRequest
  readonly operation: Operation
  readonly live: LiveToken
}

const unsupported: Answer = { status: 405, errors: ['1 error occurred:\n\t* unsupported operation\n\n'] }

/**
 * The way of every request that needs a token: the token is valid, its policies allow, no rule above forbids, and the entry in
 * the audit log is stored, all before anything leaves. What changes something is in one transaction with its entry.
 */
export function createRequestHandler(needs: Needs): (request: VaultRequest) => Promise<VaultResponse> {
  const { store, audit, tokens, router, clock, log } = needs
  const readLog = createReadLog({ store, audit, durability: needs.readDurability })

  async function refuse(
    actor: string,
    { requestId, request, operation }: Omit<Context, 'live'>,
    outcome: AuditEntry['outcome'],
    reason: string,
  ): Promise<void> {
    await audit.recordNow({
      type: 'vault.request',
      outcome,
      actor,
      target: `path:${request.path}`,
      correlation: requestId,
      detail: { operation, reason },
    })
  }

  async function respond(context: Context, usesLeft: number | null): Promise<VaultResponse> {
    const { request, operation, live } = context
    const matched = router.match(request.path)
    if (!matched) {
      authorise(context, operation === 'update' ? ['create', 'update'] : [operation], 'some')
      throw new AppError(
        'request.not_found',
        `no handler for route "${request.path}". route entry not found.`,
      )
    }
    const { spec, params } = matched
    const { path, query } = request
    const call: Call = {
      operation,
      path,
      params,
      query,
      body: parseBody(request.body),
      token: usesLeft === null ? live : { ...live, record: { ...live.record, usesLeft } },
      presented: request.token ?? new Secret(''),
      now: clock.now(),
    }
    const reading = operation === 'read' || operation === 'list'
    const answer = await (reading ? read(context, spec, call) : write(context, spec, call))
    return renderAnswer(answer, context.requestId)
  }

  async function read(context: Context, spec: PathSpec, call: Call): Promise<Answer | undefined> {
    authorise(context, readCapabilities(spec, context.operation), 'every')
    const handler = call.operation === 'list' ? spec.list : spec.read
    if (!handler) return unsupported
    const answer = await handler(call)
    const found = answer !== undefined && (answer.status ?? 200) < 400
    const entry = entryOf(context, spec, call, found ? 'done' : 'failed', answer?.note)
    await readLog.record(entry)
    return answer
  }

  function write(context: Context, spec: PathSpec, call: Call): Promise<Answer | undefined> {
    return store.write(async (tx) => {
      if (context.live.revoked) throw new AppError('token.invalid')
      authorise(context, await writeCapabilities(spec, call, tx), 'every')
      const handler = call.operation === 'update' ? spec.update : spec[call.operation as 'delete' | 'patch']
      if (!handler) return unsupported
      const answer = await handler(tx, call)
      await audit.record(tx, entryOf(context, spec, call, answer ? 'done' : 'failed', answer?.note))
      return answer
    })
  }

  function readCapabilities(spec: PathSpec, operation: Operation): Capability[] {
    if (spec.anyToken) return []
    return spec.sudo ? [operation as Capability, 'sudo'] : [operation as Capability]
  }

  async function writeCapabilities(spec: PathSpec, call: Call, reader: Reader): Promise<Capability[]> {
    const sudo: Capability[] = spec.sudo ? ['sudo'] : []
    if (call.operation !== 'update' || !spec.exists || call.token.acl.root)
      return [...sudo, call.operation as Capability]
    return [...sudo, (await spec.exists(call, reader)) ? 'update' : 'create']
  }

  function authorise(
    { live, request, operation }: Context,
    wanted: readonly Capability[],
    mode = 'some',
  ): void {
    const allowed = (capability: Capability): boolean =>
      live.acl.allows(request.path, capability, operation === 'list')
    if (!(mode === 'every' ? wanted.every(allowed) : wanted.some(allowed)))
      throw new AppError('policy.denied')
    const verdict = needs.ceiling(live.principal, request.path, operation)
    if (verdict && !verdict.allow) throw new AppError('policy.denied', verdict.reason)
  }

  async function authenticated(context: Context): Promise<VaultResponse> {
    let left: number | null = null
    try {
      left = await tokens.spendUse(context.live)
      return await respond(context, left)
    } catch (error) {
      const outcome = error instanceof AppError && error.status === 403 ? 'denied' : 'failed'
      await refuse(actorOf(context.live.principal), context, outcome, auditReasonOf(error))
      throw error
    } finally {
      if (left === 0) await endSpent(context)
    }
  }

  async function endSpent({ live, requestId }: Context): Promise<void> {
    await store.write(async (tx) => {
      const ended = await tokens.revoke(tx, live.row)
      const actor = actorOf(live.principal)
      for (const { id } of ended)
        await audit.record(tx, tokenEnded(actor, id, requestId, 'its uses are spent'))
    })
  }

  async function handle(request: VaultRequest): Promise<VaultResponse> {
    if (!needs.isOpen()) throw new AppError('vault.sealed')
    const operation = operations[request.method]
    const requestId = newUuid(clock.now())
    const live = request.token && (await tokens.authenticate(request.token))
    if (live) return authenticated({ requestId, request, operation, live })
    const reason = request.token ? 'the token is wrong, expired or revoked' : 'no token'
    await refuse('anonymous:', { requestId, request, operation }, 'denied', reason)
    throw new AppError('token.invalid')
  }

  return async (request) => {
    try {
      return await handle(request)
    } catch (error) {
      if (!(error instanceof AppError))
        log.error({ path: request.path, reason: reasonOf(error) }, 'a vault request failed')
      return failureOf(error)
    }
  }
}

/** What is recorded of a failure: the table's words and our own, never those of an unknown error. */
const auditReasonOf = (error: unknown): string =>
  error instanceof AppError ? reasonOf(error) : 'internal error'

function entryOf(
  { requestId, live }: Context,
  spec: PathSpec,
  call: Call,
  outcome: AuditEntry['outcome'],
  note: AuditEntry['detail'] | undefined,
): EntryInput {
  const type: EventName = spec.events?.[call.operation] ?? 'vault.request'
  return {
    type,
    outcome,
    actor: actorOf(live.principal),
    target: spec.target?.(call) ?? `path:${call.path}`,
    correlation: requestId,
    detail: note === undefined ? { operation: call.operation } : { operation: call.operation, note },
  }
}

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

export function parseBody(text: Secret | undefined): Body {
  if (!text || text.length === 0) return {}
  try {
    const parsed: unknown = JSON.parse(text.reveal())
    if (isObject(parsed)) return parsed
  } catch {
    // The parser's own words may quote the body.
  }
  throw new AppError('request.invalid', 'failed to parse JSON input: the body must be a JSON object')
}
