import type { ConnectionHealth, ConnectionView } from '@keyward/contract'
import { AppError, reasonOf } from '../core/index.ts'
import { connectionViewOf, foundById } from './connections.ts'
import { type ConnectionRow, putHealth, readConnections } from './connectors-store.ts'
import { lendSecrets } from './lent-secrets.ts'
import type { ConnectorsNeeds } from './needs.ts'
import type { Registry } from './registry.ts'
import { settingsOf } from './task-actions.ts'

export type HealthChecks = {
  /** Asks the service now. Throws `connection.not_found`. */
  check(connectionId: string): Promise<ConnectionView>
  start(): void
  stop(): void
}

type Needs = Pick<ConnectorsNeeds, 'store' | 'audit' | 'bus' | 'vault' | 'clock' | 'log' | 'random'> & {
  registry: Registry
}

const everyMilliseconds = 300_000
/** Of the pause, so that servers which were started together do not ask together. */
const jitterShare = 0.2
const patienceMilliseconds = 10_000

export function createHealthChecks(needs: Needs): HealthChecks {
  const { store, audit, bus, vault, clock, log, registry } = needs
  let stopped = true
  let cancel = (): void => undefined

  async function ask(row: ConnectionRow): Promise<Pick<ConnectionHealth, 'state' | 'detail'>> {
    const connector = registry.get(row.connector)
    const signal = AbortSignal.timeout(patienceMilliseconds)
    const purpose = { purpose: 'health' }
    const fields = connector.secretFields
    const lent = lendSecrets(needs, { connection: row, fields, correlation: '', purpose, signal })
    const { name } = row
    const settings = settingsOf(connector, row)
    try {
      const answer = await connector.health({ name, settings, secret: lent.secret, now: clock.now }, signal)
      return { state: answer.state, detail: lent.withoutSecrets(answer.detail) }
    } catch (error) {
      return { state: 'down', detail: wordsOf(lent.cleared(error)) }
    } finally {
      lent.close()
    }
  }

  async function measure(row: ConnectionRow): Promise<ConnectionHealth> {
    const began = performance.now()
    const answer = await ask(row).catch((error: unknown) => ({
      state: 'down' as const,
      detail: wordsOf(error),
    }))
    const latencyMs = Math.round(performance.now() - began)
    return { ...answer, latencyMs, checkedAt: clock.now().toISOString() }
  }

  /** Only a change of state is told: a service that is up, again, is no news. */
  async function keep(row: ConnectionRow, health: ConnectionHealth): Promise<void> {
    await store.write(async (tx) => {
      if (!(await putHealth(tx, row, health)) || row.health_state === health.state) return
      const subject = `connection:${row.id}`
      const { state, detail } = health
      await audit.record(tx, {
        type: 'connection.checked',
        outcome: state === 'down' ? 'failed' : 'done',
        actor: 'system:connectors',
        target: subject,
        detail: { name: row.name, state, before: row.health_state, detail },
      })
      await bus.publish(tx, { type: 'connection.checked', subject, data: { name: row.name, state } })
    })
  }

  async function look(): Promise<void> {
    if (vault.status().sealed) return
    for (const row of await readConnections(store)) {
      if (stopped) return
      await keep(row, await measure(row))
    }
  }

  function plan(milliseconds: number): void {
    cancel = clock.after(milliseconds, () => {
      look()
        .catch((error: unknown) =>
          log.error({ reason: reasonOf(error) }, 'connections could not be checked; they are checked again'),
        )
        .finally(() => {
          if (!stopped) plan(pause())
        })
    })
  }
  const pause = (): number => everyMilliseconds * (1 - jitterShare * needs.random())

  return {
    async check(connectionId) {
      const row = await foundById(store, connectionId)
      if (vault.status().sealed) throw new AppError('vault.sealed')
      await keep(row, await measure(row))
      return connectionViewOf(await foundById(store, connectionId))
    },
    start() {
      stopped = false
      plan(jitterShare * everyMilliseconds * needs.random())
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}

/** An unexpected error's own words stay out: nobody has checked them for secrets. */
const wordsOf = (error: unknown): string =>
  error instanceof AppError
    ? reasonOf(error)
    : error instanceof Error && error.name === 'TimeoutError'
      ? `it does not answer within ${patienceMilliseconds / 1000} seconds`
      : 'asking it failed in a way that is not expected'
