import type { AuditEntry } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type createIds,
  type Log,
  type Principal,
  reasonOf,
  Secret,
} from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import { createAnonymousLog } from './anonymous-log.ts'
import { containsAddress } from './cidr.ts'
import type { Answer, Call, GrantHandler, Operation, PathSpec, ReadHandler } from './engine.ts'
import type { Leases } from './leases/leases.ts'
import { pageOf } from './list-page.ts'
import {
  judge,
  secretPathOf,
  type Wanted,
  wantedAt,
  wantedNowhere,
  wantedToWrite,
  withoutToken,
} from './permission.ts'
import { createPublicAnswers } from './public-answers.ts'
import { failureOf, renderAnswer } from './render.ts'
import {
  type About,
  aboutOf,
  auditReasonOf,
  type Context,
  callOf,
  entryOf,
  hasSucceeded,
  noteOf,
  type OpenContext,
  openCallOf,
  operations,
  readHandlerOf,
  textOrNothing,
  tokenEnded,
  tokenReason,
  tokenRefusal,
  type VaultRequest,
  type VaultResponse,
  wantsWrapping,
  withIgnored,
  wrapSecondsOf,
  writeHandlerOf,
} from './request-context.ts'
import type { Match, Router } from './router.ts'
import type { LiveToken } from './tokens/token-record.ts'
import type { Tokens } from './tokens/tokens.ts'
import type { Wrapping } from './wrapping.ts'

/** A second opinion that can only refuse; undefined or `allow` lets the ACL's word stand. */
export type Ceiling = (
  principal: Principal,
  path: string,
  operation: Operation,
  /** `secret/shop/key`, whichever endpoint of its engine is asked; else the path itself. */
  secretPath: string,
) => { allow: boolean; reason: string } | undefined

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record' | 'recordNow' | 'recordRead'>
  tokens: Tokens
  router: Pick<Router, 'match' | 'routed'>
  wrapping: Pick<Wrapping, 'wrap'>
  leases: Pick<Leases, 'grant'>
  clock: Pick<Clock, 'now'>
  /** Of requests. */
  ids: Pick<ReturnType<typeof createIds>, 'uuid'>
  log: Log
  ceiling: Ceiling
  isOpen: () => boolean
}

/** Nothing answers it but health: whoever asks for the headers alone could not use what would be read or made. */
const asksForHead = ({ request }: OpenContext): boolean => request.method === 'HEAD'

const unsupported: Answer = { status: 405, errors: ['1 error occurred:\n\t* unsupported operation\n\n'] }

/**
 * The way of every request that needs a token: the token is valid, its policies allow, no rule above forbids, and the entry in
 * the audit log is stored, all before anything leaves. What changes something is in one transaction with its entry.
 */
export function createRequestHandler(
  needs: Needs,
  /** What is made of a refusal or failure, after it has been recorded. */
  refused: (error: unknown) => VaultResponse = failureOf,
): (request: VaultRequest) => Promise<VaultResponse> {
  const { store, audit, tokens, router, clock, log } = needs
  const recordAnonymous = createAnonymousLog({ audit, clock })
  const recordAnswered = createAnonymousLog({ audit, clock }, 'alsoAnswered')
  const answerAnybody = createPublicAnswers({ audit, clock })

  async function refuse(
    actor: string,
    { requestId, request, operation }: Pick<Context, 'requestId' | 'request' | 'operation'>,
    outcome: AuditEntry['outcome'],
    reason: string,
    record: typeof recordAnonymous = audit.recordNow,
  ): Promise<void> {
    await record({
      type: 'vault.request',
      outcome,
      actor,
      target: `path:${request.path}`,
      correlation: requestId,
      detail: { operation, reason },
    })
  }

  function answerTo(context: Context, matched: Match, call: Call): Promise<Answer | undefined> {
    const { spec } = matched
    const { operation } = call
    if (spec.grant && (spec.grantsBy ?? ['read']).some((by) => by === operation))
      return grant(context, matched, spec.grant, call)
    const reading = operation === 'read' || operation === 'list' || (operation === 'update' && spec.post)
    return reading ? read(context, spec, call) : write(context, spec, call)
  }

  function read(context: Context, spec: PathSpec, call: Call): Promise<Answer | undefined> {
    const wanted = wantedAt(spec, call.operation, call.token.acl)
    return wanted
      ? readAs(context, spec, call, wanted)
      : wantedBy(spec, call).then((found) => readAs(context, spec, call, found))
  }

  function readAs(context: Context, spec: PathSpec, call: Call, wanted: Wanted): Promise<Answer | undefined> {
    authorise(context, wanted, call)
    const handler = asksForHead(context) ? undefined : readHandlerOf(spec, call.operation)
    return conclude(context, spec, call, handler ? handler(call) : unsupported)
  }

  /** What was found without waiting is not waited for: a promise costs as much as much of the rest of a short read. */
  async function conclude(
    context: Context,
    spec: PathSpec,
    call: Call,
    handled: ReturnType<ReadHandler>,
  ): Promise<Answer | undefined> {
    const found = handled instanceof Promise ? await handled : handled
    if (typeof found === 'function') return write(context, spec, call, found)
    const answer = call.operation === 'list' ? pageOf(found, call.query) : found
    const about = aboutOf(context, spec, call)
    if (wantsWrapping(context, answer)) return store.write((tx) => recorded(tx, context, about, answer))
    await audit.recordRead(entryOf(context, about, hasSucceeded(answer) ? 'done' : 'failed', answer?.note))
    return answer
  }

  async function grant(
    context: Context,
    { mountPath, spec }: Match,
    handler: GrantHandler,
    call: Call,
  ): Promise<Answer | undefined> {
    authorise(context, await wantedBy(spec, call), call)
    const { live, requestId: correlation } = context
    if (asksForHead(context)) return conclude(context, spec, call, unsupported)
    const granted = await handler(call)
    if (!granted || !('make' in granted)) return conclude(context, spec, call, granted)
    const about = { ...aboutOf(context, spec, call), type: 'lease.issued' } as const
    return needs.leases.grant({ grant: granted, call, live, mountPath, correlation }, (tx, answer) =>
      recorded(tx, context, about, answer),
    )
  }

  /** Wraps the answer if the caller asked for it, and records it, both in the transaction of what it tells. */
  async function recorded(
    tx: Tx,
    context: OpenContext,
    about: About,
    answer: Answer | undefined,
  ): Promise<Answer | undefined> {
    const { requestId, wrapSeconds = 0, request } = context
    const wrap = wantsWrapping(context, answer)
    const sent = wrap
      ? await needs.wrapping.wrap(tx, {
          answer: renderAnswer({ ...answer, flat: false }, requestId).body ?? new Secret(''),
          ttlSeconds: wrapSeconds,
          creationPath: request.path,
          wrappedAccessor: textOrNothing(answer?.auth?.['accessor']),
        })
      : answer
    const outcome = hasSucceeded(sent) ? 'done' : 'failed'
    await audit.record(tx, entryOf(context, about, outcome, noteOf(answer, sent)))
    return sent
  }

  async function write(
    context: Context,
    spec: PathSpec,
    call: Call,
    handler = writeHandlerOf(spec, call.operation),
  ): Promise<Answer | undefined> {
    const release = await prepare(context, spec, call)
    try {
      return await store.write(async (tx) => {
        if (context.live.revoked) throw new AppError('token.invalid')
        authorise(context, await wantedBy(spec, call, tx), call)
        const answer = handler ? await handler(tx, call) : unsupported
        return recorded(tx, context, aboutOf(context, spec, call), answer)
      })
    } finally {
      release?.()
    }
  }

  async function prepare(context: Context, spec: PathSpec, call: Call): Promise<(() => void) | undefined> {
    if (!spec.prepare) return undefined
    authorise(context, await wantedBy(spec, call), call)
    return spec.prepare(call)
  }

  /** A path that needs no token. What is refused is recorded too: that is how guessing shows. */
  async function open(context: OpenContext, matched: Match): Promise<VaultResponse> {
    const { request, requestId } = context
    try {
      const call = openCallOf(context, matched)
      const finish = await matched.spec.open?.(call)
      const type = matched.spec.events?.[context.operation] ?? 'vault.request'
      const target = `path:${request.path}`
      let proved = false
      const answer = await store.write(async (tx) => {
        const answered = await finish?.(tx)
        proved = answered?.actor !== undefined
        if (answered?.actor === undefined) return answered
        return recorded(tx, context, { type, actor: answered.actor, target }, answered)
      })
      if (!proved) await recordTold(context, target, answer)
      return renderAnswer(answer, requestId)
    } catch (error) {
      await refuse(
        'anonymous:',
        { requestId, request, operation: context.operation },
        'denied',
        auditReasonOf(error),
        recordAnonymous,
      )
      throw error
    }
  }

  /** Where nobody has proved who they are, nothing is stored for them either: neither a wrapped answer nor entries without end. */
  async function recordTold(context: OpenContext, target: string, answer: Answer | undefined): Promise<void> {
    const { operation, requestId: correlation } = context
    const note = answer?.note
    if (answer?.status === 400 && answer.errors)
      return refuse('anonymous:', context, 'denied', answer.errors.join('; '), recordAnonymous)
    await recordAnswered({
      type: 'vault.request',
      outcome: hasSucceeded(answer) ? 'done' : 'failed',
      actor: 'anonymous:',
      target,
      correlation,
      detail: { operation, ...(note === undefined ? {} : { note }) },
    })
  }

  const wantedBy = async (spec: PathSpec, call: Call, reader?: Reader): Promise<Wanted> =>
    wantedAt(spec, call.operation, call.token.acl) ??
    wantedToWrite(spec, (await spec.exists?.(call, reader)) === true)

  function authorise(
    { live, request, operation, matched, wrapSeconds }: Context,
    wanted: Wanted,
    call?: Call,
  ): void {
    const { path } = request
    const { kind } = judge(call ?? { operation, path, body: {}, wrapSeconds }, live.acl, wanted, matched)
    if (kind === 'refused' || kind === 'limited') throw new AppError('policy.denied')
    const verdict = needs.ceiling(live.principal, path, operation, secretPathOf(path, matched, call))
    if (verdict && !verdict.allow) throw new AppError('policy.denied', verdict.reason)
  }

  function unserved(context: Context): AppError {
    authorise(context, wantedNowhere(context.operation))
    return nothingServed(router, context.request.path)
  }

  async function authenticated(context: Context): Promise<VaultResponse> {
    const { matched } = context
    let left: number | null = null
    try {
      if (context.live.record.usesLeft !== null) left = await tokens.spendUse(context.live)
      if (!matched) throw unserved(context)
      const call = callOf(context, matched, left)
      const answer = await answerTo(context, matched, call)
      return renderAnswer(withIgnored(matched.spec, call, answer), context.requestId)
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

  /** At a path for signing in, what it does not do is no question of a token. */
  async function refusedToAll(context: OpenContext): Promise<VaultResponse> {
    await refuse('anonymous:', context, 'failed', 'unsupported operation', recordAnonymous)
    return renderAnswer(unsupported, context.requestId)
  }

  /** Undefined where a token is asked for. */
  function answerWithoutToken(context: OpenContext, matched: Match): Promise<VaultResponse> | undefined {
    const { operation, requestId } = context
    const way = withoutToken(matched.spec, operation)
    switch (way && asksForHead(context) ? 'unsupported' : way) {
      case 'anybody':
        return answerAnybody(requestId, matched, openCallOf(context, matched))
      case 'proof':
        return open(context, matched)
      case 'unsupported':
        return refusedToAll(context)
      case undefined:
        return undefined
    }
  }

  function handle(request: VaultRequest): Promise<VaultResponse> {
    if (!needs.isOpen()) throw new AppError('vault.sealed')
    const operation = operations[request.method]
    if (operation === 'update' && request.path.endsWith('/'))
      throw new AppError('request.invalid', "cannot write to a path ending in '/'")
    const now = clock.now()
    const matched = router.match(request.path, operation === 'list')
    const wrapSeconds = wrapSecondsOf(request)
    const context = { requestId: needs.ids.uuid(now), now, request, operation, matched, wrapSeconds }
    const answered = matched && answerWithoutToken(context, matched)
    if (answered) return answered
    const { token } = request
    const live = token && tokens.known(token)
    if (live || !token) return answerTokens(context, live)
    return tokens.authenticate(token).then((found) => answerTokens(context, found))
  }

  function answerTokens(context: OpenContext, live: LiveToken | undefined): Promise<VaultResponse> {
    return live && containsAddress(live.record.boundCidrs ?? [], context.request.remoteAddress)
      ? authenticated({ ...context, live })
      : refusedTokens(context, live)
  }

  async function refusedTokens(context: OpenContext, live: LiveToken | undefined): Promise<never> {
    await refuse('anonymous:', context, 'denied', tokenReason(context.request, live), recordAnonymous)
    throw tokenRefusal(context, live)
  }

  async function failed({ path }: VaultRequest, error: unknown): Promise<VaultResponse> {
    if (!(error instanceof AppError)) log.error({ path, reason: reasonOf(error) }, 'a vault request failed')
    return refused(error)
  }

  return (request) => {
    try {
      return handle(request).catch((error: unknown) => failed(request, error))
    } catch (error) {
      return failed(request, error)
    }
  }
}

/** A mount that does not know a path says so in other words than a vault that does not know the mount. */
function nothingServed(router: Pick<Router, 'routed'>, path: string): AppError {
  const mounted = router.routed().some((mount) => `${path}/`.startsWith(mount.path))
  return new AppError(
    'request.not_found',
    mounted
      ? '1 error occurred:\n\t* unsupported path\n\n'
      : `no handler for route "${path}". route entry not found.`,
  )
}
