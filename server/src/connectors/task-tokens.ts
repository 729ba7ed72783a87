import type { Json } from '@keyward/contract'
import { AppError, callService, newId, reasonOf, repeat, Secret } from '../core/index.ts'
import { accessTokens, type Minting } from '../lend/index.ts'
import type { Tx } from '../store/index.ts'
import {
  type ConnectionRow,
  connectionById,
  deleteTaskToken,
  endingTaskTokens,
  insertTaskToken,
  markAllTaskTokens,
  markTaskToken,
  markTaskTokensOf,
  type TaskTokenRow,
} from './connectors-store.ts'
import type { ConnectorsNeeds } from './needs.ts'

export type TaskTokens = {
  /** Asks for a token with the value of a field, and has it on disk, encrypted, before it is used. */
  mint(about: About, value: Secret, how: Minting): Promise<{ id: string; token: Secret }>
  /** Ends tokens at their servers now, as far as they can be reached. Never throws: who comes later tries again. */
  end(tokenIds: readonly string[]): Promise<void>
  /** In the transaction in which an attempt ends. */
  release(tx: Tx, runId: string, taskId: string): Promise<void>
  start(): Promise<void>
  stop(): void
}

type About = {
  readonly runId: string
  readonly taskId: string
  readonly connection: Pick<ConnectionRow, 'id' | 'name'>
}
type Needs = Pick<ConnectorsNeeds, 'store' | 'audit' | 'vault' | 'clock' | 'log'>

const againMilliseconds = 5000
/** A token whose server did not say how long it lives is tried to be ended for as long as this. */
const longestLifeMilliseconds = 24 * 3_600_000
const placeOf = (id: string): string => `connectors/tokens/${id}`

export function createTaskTokens({ store, audit, vault, clock, log }: Needs): TaskTokens {
  let stop = (): void => undefined

  async function ask(value: Secret, how: Minting) {
    const now = clock.now()
    // `value` is the field that the request is made with; these ways need no other.
    const request = accessTokens.request(how, { value, fields: {}, now })
    const { host } = new URL(request.url)
    const { status, text } = await callService(request).catch((error: unknown) => {
      throw new AppError('connector.unavailable', reasonOf(error))
    })
    const answer = accessTokens.read(status, text, now)
    if (!('refused' in answer)) return answer
    const words = `${host} gives no token: it answered ${answer.refused}`
    if (status === 429 || status >= 500) throw new AppError('connector.unavailable', words)
    throw new AppError('connector.unauthorized', words)
  }

  const tell = (
    tx: Tx,
    type: 'connection.token_minted' | 'connection.token_ended',
    row: TaskTokenRow,
    detail: { readonly [name: string]: Json },
  ): Promise<void> =>
    audit.record(tx, {
      type,
      outcome: 'done',
      actor: 'system:connectors',
      target: `connection:${row.connection_id}`,
      correlation: row.run_id,
      detail: { ...detail, taskId: row.task_id, token: row.id },
    })

  async function endOne(row: TaskTokenRow): Promise<void> {
    const answer = await endAtServer(row)
    if (answer === undefined) return
    await store.write(async (tx) => {
      if (!(await deleteTaskToken(tx, row.id))) return
      await vault.sealed.delete(tx, placeOf(row.id))
      await tell(tx, 'connection.token_ended', row, { answer })
    })
  }

  /** What came of it, in words; undefined when it has to be tried again. */
  async function endAtServer(row: TaskTokenRow): Promise<string | undefined> {
    const last = row.expires_at ?? row.minted_at + longestLifeMilliseconds
    if (last <= clock.now().getTime()) return 'its time there is over'
    const kept = await vault.sealed.get(placeOf(row.id))
    if (!kept || row.revoke_url === null) return `it lives until ${new Date(last).toISOString()}`
    const token = new Secret(kept.toString())
    const how = JSON.parse(row.how) as Minting
    const call = accessTokens.revocation(how, row.revoke_url, token, { value: undefined, fields: {} })
    const { status } = await callService(call)
    // 401: it was no token any more.
    if (status < 300 || status === 401) return `its server answered ${status}`
    return status >= 500 || status === 429 ? undefined : `its server does not end it, and answered ${status}`
  }

  async function endDue(only?: ReadonlySet<string>): Promise<void> {
    if (vault.status().sealed) return
    for (const row of await endingTaskTokens(store)) {
      if (only && !only.has(row.id)) continue
      await endOne(row).catch((error: unknown) =>
        log.warn(
          { runId: row.run_id, taskId: row.task_id, token: row.id, reason: reasonOf(error) },
          'a token of a task is not ended yet; it is tried again',
        ),
      )
    }
  }

  return {
    async mint({ runId, taskId, connection }, value, how) {
      const { token, expiresAt } = await ask(value, how)
      const now = clock.now()
      const row: TaskTokenRow = {
        id: newId('ctk', now),
        connection_id: connection.id,
        run_id: runId,
        task_id: taskId,
        how: JSON.stringify(how),
        revoke_url: accessTokens.places(how, value).revokeUrl ?? null,
        minted_at: now.getTime(),
        expires_at: expiresAt?.getTime() ?? null,
        ending_at: null,
      }
      await store.write(async (tx) => {
        if (!(await connectionById(tx, connection.id)))
          throw new AppError('connection.not_found', `${connection.name} was removed`)
        await insertTaskToken(tx, row)
        await vault.sealed.put(tx, placeOf(row.id), Buffer.from(token.reveal()))
        await tell(tx, 'connection.token_minted', row, {
          kind: how.kind,
          ...(how.kind === 'github-app'
            ? { repositories: how.repositories ?? [], permissions: how.permissions ?? {} }
            : {}),
          expiresAt: expiresAt?.toISOString() ?? null,
        })
      })
      return { id: row.id, token }
    },
    async end(tokenIds) {
      if (tokenIds.length === 0) return
      try {
        const now = clock.now().getTime()
        await store.write(async (tx) => {
          for (const id of tokenIds) await markTaskToken(tx, id, now)
        })
        await endDue(new Set(tokenIds))
      } catch (error) {
        // The attempt has its own outcome; the next look ends them.
        log.warn({ reason: reasonOf(error) }, 'tokens of a task are not ended yet; it is tried again')
      }
    },
    release: (tx, runId, taskId) => markTaskTokensOf(tx, runId, taskId, clock.now().getTime()),
    async start() {
      await store.write((tx) => markAllTaskTokens(tx, clock.now().getTime()))
      stop = repeat(
        { clock, log },
        { name: 'tokens of tasks', milliseconds: againMilliseconds, work: () => endDue() },
      )
    },
    stop: () => stop(),
  }
}
