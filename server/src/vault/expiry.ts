import type { Audit } from '../audit/index.ts'
import { actorOf, type Clock, type Log, reasonOf, systemPrincipal } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import type { Mounts } from './mounts.ts'
import { tokenEnded } from './request-context.ts'
import type { Tokens } from './tokens/tokens.ts'

/** What happens by itself while the vault is open: tokens whose time has come end, and engines clear away. */
export type Expiry = {
  start(): void
  stop(): void
  /** Ends tokens whose time has come, with their children; returns how many. */
  expireTokens(): Promise<number>
}

type Needs = {
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'record'>
  clock: Clock
  log: Log
  mounts: Pick<Mounts, 'all' | 'engineById'>
  tokens: Pick<Tokens, 'expired' | 'revoke'>
  rotateDue: () => Promise<unknown>
  isOpen: () => boolean
}

const intervalMilliseconds = 15_000
const expiredAtOnce = 200
const tidyIntervalMilliseconds = 3_600_000

export function createExpiry(needs: Needs): Expiry {
  const { store, audit, clock, log, mounts, tokens, isOpen } = needs
  const actor = actorOf(systemPrincipal('expiry'))
  let tidiedAt = 0
  let cancel = (): void => undefined

  function start(): void {
    cancel()
    cancel = clock.after(intervalMilliseconds, () => {
      run()
        .catch((error: unknown) =>
          log.error({ reason: reasonOf(error) }, 'expired tokens could not be removed'),
        )
        .finally(() => isOpen() && start())
    })
  }

  /** Now and then, what engines keep beyond its time; each mount in a transaction of its own. */
  async function tidyMounts(): Promise<void> {
    const now = clock.now()
    if (!isOpen() || now.getTime() - tidiedAt < tidyIntervalMilliseconds) return
    for (const { id, path } of mounts.all()) {
      const engine = mounts.engineById(id)
      if (!engine?.tidy) continue
      await store.write(async (tx) => {
        const removed = (await engine.tidy?.(tx, now)) ?? 0
        if (removed > 0)
          await audit.record(tx, {
            type: 'vault.request',
            outcome: 'done',
            actor,
            target: `path:${path}`,
            detail: { operation: 'tidy', removed },
          })
      })
    }
    tidiedAt = now.getTime()
  }

  async function endOne(row: string): Promise<number> {
    return store.write(async (tx) => {
      const ended = await tokens.revoke(tx, row)
      for (const { id } of ended) await audit.record(tx, tokenEnded(actor, id, '', 'its time has come'))
      return ended.length
    })
  }

  /** All that are due, not some: what they were given ends with them. One that is damaged stays and holds up no other. */
  async function expireTokens(): Promise<number> {
    const failed = new Set<string>()
    let count = 0
    for (let more = true; more && isOpen(); ) {
      const due = await tokens.expired(expiredAtOnce + failed.size)
      const rows = due.filter((row) => !failed.has(row))
      for (const [i, result] of (await Promise.allSettled(rows.map(endOne))).entries()) {
        if (result.status === 'fulfilled') count += result.value
        else failed.add(rows[i] ?? '')
        if (result.status === 'rejected')
          log.error({ reason: reasonOf(result.reason) }, 'an expired token could not be removed')
      }
      more = rows.length >= expiredAtOnce
    }
    return count
  }

  async function run(): Promise<number> {
    try {
      await tidyMounts()
      if (isOpen()) await needs.rotateDue()
    } catch (error) {
      log.error({ reason: reasonOf(error) }, 'what is due now and then could not be done')
    }
    return expireTokens()
  }

  return { start, stop: () => cancel(), expireTokens: run }
}
