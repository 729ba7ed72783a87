import { randomUUID } from 'node:crypto'
import { Secret } from '../../../core/index.ts'
import type { Store, Tx } from '../../../store/index.ts'
import type { Database } from './database-port.ts'
import { isRefusal, isSignInRefusal, refused } from './failure.ts'
import { openDatabase } from './kinds.ts'
import { createQueues } from './queues.ts'
import type { ConfigRecord, DatabaseRecords } from './records.ts'

/** The databases of one mount, each opened when it is first needed and again when its settings have changed. */
export type Connections = {
  use(name: string): Promise<{ config: ConfigRecord; database: Database }>
  /** Changes the password of the account that Keyward itself uses. */
  rotateRoot(
    name: string,
    make: (config: ConfigRecord, database: Database) => Promise<Secret>,
    steps: RootSteps,
  ): Promise<void>
  /** Names of those that a process left between two passwords. */
  unsettled(): Promise<string[]>
  forget(name: string): void
  closeAll(): void
}

/** What is recorded around the change, each in the transaction that stores it. */
type RootSteps = {
  intended(tx: Tx): Promise<void>
  confirmed(tx: Tx): Promise<void>
}

type Needs = { records: DatabaseRecords; store: Pick<Store, 'write'>; mountId: string }
type OnStored = (revisions: { readonly from: string; readonly to: string }) => void
type Opened = { readonly revision: string; readonly database: Database }

export function createConnections({ records, store, mountId }: Needs): Connections {
  const opened = new Map<string, Promise<Opened>>()
  const queues = createQueues()

  async function current(name: string): Promise<ConfigRecord> {
    const config = await records.configs.read(name)
    if (!config) throw refused(`failed to find entry for connection with name: "${name}"`)
    return config
  }

  function forget(name: string): void {
    const known = opened.get(name)
    opened.delete(name)
    known?.then(({ database }) => database.close()).catch(() => undefined)
  }

  async function open(name: string, config: ConfigRecord): Promise<Opened> {
    return { revision: config.revision, database: await openDatabase(`${mountId}/${name}`, config) }
  }

  async function use(name: string): Promise<{ config: ConfigRecord; database: Database }> {
    const config = await current(name)
    const known = await opened.get(name)?.catch(() => undefined)
    if (known?.revision === config.revision) return { config, database: known.database }
    // Only the first who finds it old opens anew.
    if (known) forget(name)
    const opening = opened.get(name) ?? open(name, config)
    opened.set(name, opening)
    opening.catch(() => opened.get(name) === opening && opened.delete(name))
    const fresh = await opening
    if (config.nextPassword !== undefined) await queues.run(name, () => settle(name))
    else if (fresh.revision === config.revision) return { config, database: fresh.database }
    return use(name)
  }

  /** After a process died between two passwords: finds out which holds, and goes on to the new one. */
  async function settle(name: string): Promise<void> {
    const config = await current(name)
    if (config.nextPassword === undefined) return
    const next = new Secret(config.nextPassword)
    const database = await openDatabase(`${mountId}/${name}`, config)
    try {
      await database.check()
      await change(config, database, next)
    } catch (error) {
      if (!isSignInRefusal(error)) throw error
      database.usePassword(next)
      await database.check()
    } finally {
      database.close()
    }
    await confirm(name, next)
  }

  const change = (config: ConfigRecord, database: Database, password: Secret): Promise<void> =>
    database.changeOwnPassword({
      name: String(config.details['username'] ?? ''),
      password,
      statements: config.rootRotationStatements,
    })

  async function confirm(
    name: string,
    password: Secret,
    confirmed: RootSteps['confirmed'] = async () => undefined,
    onStored: OnStored = () => undefined,
  ): Promise<void> {
    await store.write(async (tx) => {
      const config = await records.configs.read(name, tx)
      if (config?.nextPassword !== password.reveal()) return
      const { nextPassword, ...rest } = config
      const secrets = { ...rest.secrets, password: nextPassword }
      const revision = randomUUID()
      await records.configs.write(tx, name, { ...rest, secrets, revision })
      await confirmed(tx)
      tx.afterCommit(() => onStored({ from: config.revision, to: revision }))
    })
  }

  /**
   * Who changed the password goes on with what is open: it knows the new one. Whoever still holds it for a user that is to be made would be
   * left with an old password otherwise.
   */
  function keepOpen(name: string, held: Promise<Opened> | undefined, known: Opened): OnStored {
    return ({ from, to }) => {
      if (opened.get(name) !== held || from !== known.revision) return
      opened.set(name, Promise.resolve({ revision: to, database: known.database }))
    }
  }

  async function withdraw(name: string, password: Secret): Promise<void> {
    await store.write(async (tx) => {
      const config = await records.configs.read(name, tx)
      if (config?.nextPassword !== password.reveal()) return
      const { nextPassword, ...rest } = config
      await records.configs.write(tx, name, rest)
    })
  }

  return {
    use,
    forget,
    rotateRoot: (name, make, { intended, confirmed }) =>
      queues.run(name, async () => {
        await settle(name)
        const { config, database } = await use(name)
        const held = opened.get(name)
        const next = await make(config, database)
        await store.write(async (tx) => {
          const stored = await records.configs.read(name, tx)
          if (!stored || stored.revision !== config.revision)
            throw refused(`the connection "${name}" was changed meanwhile; nothing was rotated`)
          await records.configs.write(tx, name, { ...stored, nextPassword: next.reveal() })
          await intended(tx)
        })
        try {
          await change(config, database, next)
        } catch (error) {
          // A refusal is certain: the old password holds. After anything else it is found out at the next use.
          if (isRefusal(error)) await withdraw(name, next)
          else forget(name)
          throw error
        }
        await confirm(name, next, confirmed, keepOpen(name, held, { revision: config.revision, database }))
      }),
    async unsettled() {
      const names: string[] = []
      for (const name of await records.configs.names())
        if ((await records.configs.read(name))?.nextPassword !== undefined) names.push(name)
      return names
    },
    closeAll() {
      for (const name of [...opened.keys()]) forget(name)
    },
  }
}
