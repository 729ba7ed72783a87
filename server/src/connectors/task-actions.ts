import type { ArtifactRef, Json } from '@keyward/contract'
import { z } from 'zod'
import { AppError, type Clock, type TreeTaker, traceparentOf } from '../core/index.ts'
import type { Action, PreviewContext, TaskContext, TaskResult } from '../workflow/index.ts'
import { foundByName } from './connections.ts'
import type { ActionContext, Connector, ConnectorAction, Reconciled } from './connector.ts'
import { type ConnectionRow, connectionByName } from './connectors-store.ts'
import { type LentSecrets, lendSecrets } from './lent-secrets.ts'
import type { ConnectorsNeeds } from './needs.ts'
import { misfits, type Registry } from './registry.ts'
import type { TaskTokens } from './task-tokens.ts'
import type { Hearing, Told } from './told.ts'

type Needs = Pick<
  ConnectorsNeeds,
  'store' | 'audit' | 'vault' | 'clock' | 'assertMayUse' | 'sandboxed' | 'artifacts' | 'traced'
> & {
  registry: Registry
  tokens: Pick<TaskTokens, 'mint' | 'end' | 'release'>
  told: Pick<Told, 'hear'>
}
type Attempt = Pick<
  TaskContext,
  'runId' | 'taskId' | 'attempt' | 'idempotencyKey' | 'requestedBy' | 'signal' | 'heartbeat'
> & { readonly args: Json }
type Work<T> = (context: ActionContext, lent: LentSecrets, connection: ConnectionRow) => Promise<T>

/** Every action of every connector, as runs know actions. A task names the connection beside the action's own arguments. */
export function taskActions(needs: Needs): Action[] {
  return needs.registry
    .all()
    .flatMap((connector) => connector.actions.map((action) => taskAction(needs, connector, action)))
}

function taskAction(needs: Needs, connector: Connector, action: ConnectorAction): Action {
  const { name, idempotent, preview, execute, reconcile } = action
  const within = <T>(attempt: Attempt, purpose: string, work: Work<T>): Promise<T> =>
    withConnection(needs, { connector, action, purpose }, attempt, work)
  return {
    name,
    idempotent,
    effect: action.effect ?? 'write',
    async environment(given) {
      const named = args.safeParse(given)
      const row = named.success ? await connectionByName(needs.store, named.data.connection) : undefined
      return row?.environment ?? undefined
    },
    output: action.output,
    ...(action.input instanceof z.ZodObject
      ? { input: action.input.extend({ connection: z.string() }) }
      : {}),
    offered: offeredBy(needs, connector, action),
    preview: (args, about) =>
      within(previewing(args, about), 'preview', async (context, lent, { settings, ...connection }) => {
        const change = preview ? lent.withoutSecrets(await preview.call(action, context)) : null
        return {
          connection: connection.name,
          // A service that is another one by the time that it runs voids the approval.
          service: { connector: connector.name, settings: JSON.parse(settings) as Json },
          change,
        }
      }).catch(later),
    execute: (attempt) =>
      within(attempt, 'execution', async (context, lent) =>
        resultOf(action, lent, await execute.call(action, context)),
      ),
    async ended(tx, attempt) {
      await needs.tokens.release(tx, attempt.runId, attempt.taskId)
      await needs.sandboxed.ended(tx, attempt)
    },
    ...(reconcile
      ? {
          reconcile: (attempt: TaskContext) =>
            within(attempt, 'reconciliation', async (context, lent) =>
              reconciledOf(action, lent, await reconcile.call(action, context)),
            ),
        }
      : {}),
  }
}

/** Any plan may name it; approvals guard what is risky, and policy says who may use which connection. */
const offeredBy = (
  { store }: Pick<Needs, 'store'>,
  connector: Connector,
  { title, risk, reversible, permissions, cost }: ConnectorAction,
): NonNullable<Action['offered']> => ({
  title,
  risk,
  reversible,
  permissions,
  cost,
  async about(given) {
    const named = args.safeParse(given)
    if (!named.success) throw new AppError('connector.refused', misfits(named.error))
    const row = await foundByName(store, named.data.connection)
    return {
      target: `${connector.title}, ${row.name}`,
      secrets: row.secret_path === null ? [] : [row.secret_path],
    }
  },
})

const previewing = (args: Json, { runId, taskId, requestedBy }: PreviewContext): Attempt => ({
  runId,
  taskId,
  requestedBy,
  args,
  attempt: 0,
  idempotencyKey: `${runId}:${taskId}`,
  signal: AbortSignal.timeout(previewMilliseconds),
  heartbeat: () => undefined,
})
const previewMilliseconds = 60_000

/** A preview waits for what is unavailable; for who wants to be asked later, too. */
function later(error: unknown): never {
  if (error instanceof AppError && error.code === 'connector.rate_limited')
    throw new AppError('connector.unavailable', error.detail, { retryAfterSeconds: error.retryAfterSeconds })
  throw error
}

type About = { readonly connector: Connector; readonly action: ConnectorAction; readonly purpose: string }

/** Parses, decides, opens the connection for this one attempt, and closes it whatever happens. */
async function withConnection<T>(
  needs: Needs,
  { connector, action, purpose }: About,
  attempt: Attempt,
  work: Work<T>,
): Promise<T> {
  const { connection: name, input } = argumentsOf(action, attempt.args)
  const row = await foundByName(needs.store, name)
  if (row.connector !== connector.name)
    throw new AppError(
      'connector.refused',
      `the connection ${name} is to ${row.connector}, not ${connector.name}`,
    )
  await needs.assertMayUse({ requestedBy: attempt.requestedBy, connection: row, action })
  const { runId, taskId, requestedBy, signal } = attempt
  const lent = lendSecrets(needs, {
    connection: row,
    fields: connector.secretFields.filter((field) => action.secretFields.includes(field.name)),
    correlation: runId,
    purpose: { purpose, action: action.name, taskId, attempt: attempt.attempt, requestedBy },
    signal,
  })
  const minted: string[] = []
  const hearings: Hearing[] = []
  const context: ActionContext = {
    ...attemptOf(attempt),
    input,
    name,
    settings: settingsOf(connector, row),
    secret: lent.secret,
    traceparent: attempt.attempt > 0 && needs.traced?.() ? traceparentOf(attempt) : undefined,
    async mint(field, how) {
      const made = await needs.tokens.mint({ runId, taskId, connection: row }, await lent.secret(field), how)
      minted.push(made.id)
      lent.hide(made.token)
      return made.token
    },
    now: () => needs.clock.now(),
    hear(place, topic) {
      const hearing = needs.told.hear(row.id, { place, topic })
      hearings.push(hearing)
      return hearing
    },
    pause: (milliseconds, hearing) => paused(needs.clock, milliseconds, { signal, hearing }),
    run: (command) => needs.sandboxed.run({ ...attemptOf(attempt), secretPath: row.secret_path }, command),
    keep: (fill) => kept(needs, { runId, taskId }, fill),
  }
  try {
    signal.throwIfAborted()
    return await work(context, lent, row)
  } catch (error) {
    throw lent.cleared(error)
  } finally {
    lent.close()
    for (const hearing of hearings) hearing.close()
    await needs.tokens.end(minted)
  }
}

async function kept(
  { artifacts }: Pick<Needs, 'artifacts'>,
  owner: { runId: string; taskId: string },
  fill: (taker: TreeTaker) => Promise<void>,
): Promise<ArtifactRef> {
  const maker = await artifacts.create(owner)
  try {
    await fill(maker)
    return await maker.finish()
  } catch (error) {
    await maker.discard()
    throw error
  }
}

function paused(
  clock: Pick<Clock, 'after'>,
  milliseconds: number,
  { signal, hearing }: { signal: AbortSignal; hearing: Pick<Hearing, 'next'> | undefined },
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const stop = (): void => {
      end()
      reject(signal.reason)
    }
    const over = (): void => {
      end()
      resolve()
    }
    const end = (): void => {
      cancel()
      deafen()
      signal.removeEventListener('abort', stop)
    }
    signal.addEventListener('abort', stop, { once: true })
    const cancel = clock.after(milliseconds, over)
    let deafen = (): void => undefined
    deafen = hearing?.next(over) ?? deafen
  })
}

const attemptOf = (given: Attempt) => {
  const { runId, taskId, attempt, idempotencyKey, requestedBy, signal, heartbeat } = given
  return {
    runId,
    taskId,
    attempt,
    idempotencyKey,
    requestedBy,
    signal,
    heartbeat,
  }
}

const args = z.looseObject({ connection: z.string() })

/** Throws before anything is sent. */
function argumentsOf(action: ConnectorAction, given: Json): { connection: string; input: unknown } {
  const outer = args.safeParse(given)
  if (!outer.success) throw new AppError('connector.refused', `${action.name}: ${misfits(outer.error)}`)
  const { connection, ...rest } = outer.data
  const inner = action.input.safeParse(rest)
  if (!inner.success) throw new AppError('connector.refused', `${action.name}: ${misfits(inner.error)}`)
  return { connection, input: inner.data }
}

/** Checked again, because another version of Keyward may have stored them. */
export function settingsOf(connector: Connector, { name, settings }: ConnectionRow): unknown {
  const parsed = connector.settings.safeParse(JSON.parse(settings))
  if (parsed.success) return parsed.data
  throw new AppError('connector.refused', `the settings of ${name} do not fit: ${misfits(parsed.error)}`)
}

function resultOf(action: ConnectorAction, lent: LentSecrets, output: unknown): TaskResult {
  const parsed = action.output.safeParse(output)
  // The effect may have happened, so this is no plain failure.
  if (!parsed.success)
    throw new AppError(
      'connector.ambiguous',
      `${action.name}: its result does not fit: ${misfits(parsed.error)}`,
    )
  const json = JSON.parse(JSON.stringify(parsed.data ?? null)) as Json
  return { output: lent.withoutSecrets(json) }
}

function reconciledOf(action: ConnectorAction, lent: LentSecrets, found: Reconciled) {
  return found.effect === 'done'
    ? { effect: found.effect, result: resultOf(action, lent, found.output) }
    : found
}
