import { randomBytes } from 'node:crypto'
import type { ConnectionView, HookDelivery, HookView } from '@keyward/contract'
import { z } from 'zod'
import { AppError, actorOf, type Principal, Secret } from '../core/index.ts'
import { forgetDeliveries, lastDeliveries } from '../hooks/index.ts'
import type { Tx } from '../store/index.ts'
import type { TriggersNeeds } from './needs.ts'
import { hookSecretPath, listener } from './receiving.ts'
import { deleteHook, type HookRow, putHook, readHook, readHooks } from './triggers-store.ts'

/** Webhooks of GitHub Apps, one for each connection. */
export type EventHooks = {
  list(): Promise<HookView[]>
  /** Throws `hook.not_found`. */
  read(connectionId: string): Promise<HookView & { deliveries: HookDelivery[] }>
  /** A new secret; the one before ends. Throws `connection.not_found` and `hook.unsupported`. */
  issue(connectionId: string, by: Principal): Promise<{ hook: HookView; secret: Secret }>
  /** Throws `hook.not_found`. */
  remove(connectionId: string, by: Principal): Promise<void>
  /** Ends the secrets of those whose connection is not there any more. */
  tidy(): Promise<void>
}

type Needs = Pick<TriggersNeeds, 'store' | 'audit' | 'bus' | 'clock' | 'vault' | 'connectors'>

const shownDeliveries = 50

export function createEventHooks({ store, audit, bus, clock, vault, connectors }: Needs): EventHooks {
  async function viewOf(row: HookRow, name: string): Promise<HookView> {
    const { connection_id: connectionId, starts, wakes, ping, unused } = row
    const [last] = await lastDeliveries(store, connectionId, 1)
    return {
      connectionId,
      connection: name,
      address: `/api/v1/hooks/github/${connectionId}`,
      issuedBy: row.issued_by,
      issuedAt: new Date(row.issued_at).toISOString(),
      received: { starts, wakes, ping, unused },
      last: last ? deliveryView(last) : null,
    }
  }

  const connectionOf = async (connectionId: string): Promise<ConnectionView | undefined> =>
    (await connectors.list()).find(({ id }) => id === connectionId)

  async function found(connectionId: string): Promise<HookView> {
    const [row, connection] = [await readHook(store, connectionId), await connectionOf(connectionId)]
    if (!row || !connection)
      throw new AppError('hook.not_found', `nobody listens to connection '${connectionId}'`)
    return viewOf(row, connection.name)
  }

  async function end(tx: Tx, connectionId: string, actor: string): Promise<boolean> {
    if (!(await deleteHook(tx, connectionId))) return false
    await vault.sealed.delete(tx, hookSecretPath(connectionId))
    await forgetDeliveries(tx, connectionId)
    const target = `connection:${connectionId}`
    await audit.record(tx, { type: 'hook.removed', outcome: 'done', actor, target })
    await bus.publish(tx, { type: 'hook.removed', subject: target })
    return true
  }

  return {
    async list() {
      const names = new Map((await connectors.list()).map(({ id, name }) => [id, name]))
      const views = (await readHooks(store)).flatMap((row) => {
        const name = names.get(row.connection_id)
        return name === undefined ? [] : [viewOf(row, name)]
      })
      return Promise.all(views)
    },
    async read(connectionId) {
      const deliveries = await lastDeliveries(store, connectionId, shownDeliveries)
      return { ...(await found(connectionId)), deliveries: deliveries.map(deliveryView) }
    },
    async issue(connectionId, by) {
      assertListens(await connectionOf(connectionId), connectionId)
      const secret = randomBytes(32).toString('base64url')
      await store.write(async (tx) => {
        await vault.sealed.put(tx, hookSecretPath(connectionId), Buffer.from(secret))
        await putHook(tx, { connectionId, issuedBy: actorOf(by), at: clock.now().getTime() })
        const target = `connection:${connectionId}`
        await audit.record(tx, { type: 'hook.secret_issued', outcome: 'done', actor: actorOf(by), target })
        await bus.publish(tx, { type: 'hook.secret_issued', subject: target })
      })
      return { hook: await found(connectionId), secret: new Secret(secret) }
    },
    async remove(connectionId, by) {
      const ended = await store.write((tx) => end(tx, connectionId, actorOf(by)))
      if (!ended) throw new AppError('hook.not_found', `nobody listens to connection '${connectionId}'`)
    },
    async tidy() {
      const known = new Set((await connectors.list()).map(({ id }) => id))
      const gone = (await readHooks(store)).filter((row) => !known.has(row.connection_id))
      for (const row of gone) await store.write((tx) => end(tx, row.connection_id, listener))
    },
  }
}

/** Throws `connection.not_found` and `hook.unsupported`. */
export function assertListens(connection: ConnectionView | undefined, connectionId: string): void {
  if (!connection) throw new AppError('connection.not_found', `there is no connection '${connectionId}'`)
  const { name, connector } = connection
  if (connector !== 'github')
    throw new AppError('hook.unsupported', `${name} is a connection to ${connector}, not to GitHub`)
}

const delivered = z.object({
  event: z.string(),
  action: z.string().nullable(),
  repository: z.string().nullable(),
  use: z.enum(['starts', 'wakes', 'ping', 'unused']),
  detail: z.string().nullable(),
})

const deliveryView = ({ at, about }: { at: number; about: unknown }): HookDelivery => ({
  at: new Date(at).toISOString(),
  ...delivered.parse(about),
})
