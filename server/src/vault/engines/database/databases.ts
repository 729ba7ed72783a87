import { reasonOf } from '../../../core/index.ts'
import type { EngineMaker } from '../../mounts.ts'
import type { DatabaseMount, DatabaseNeeds } from './database-mount.ts'
import type { FailingRotation } from './rotations.ts'

export type { FailingRotation }

/** All mounts of the type `database`: users of PostgreSQL and Redis, made on demand, and passwords that change by themselves. */
export type Databases = {
  readonly maker: () => Promise<EngineMaker>
  /** Takes up the changes of passwords that are due, and those that a process left half done. */
  start(): void
  /** Closes every connection and forgets what it was opened with. */
  stop(): void
  /** Passwords that could not be changed when their time had come. */
  failingRotations(): readonly FailingRotation[]
}

type Mounted = DatabaseMount & { loaded: boolean }

/** Timers cannot be set further ahead than some weeks, and a clock can be set. */
const longestWaitMilliseconds = 60_000
/** After what should not happen, such as a record that cannot be read. */
const retryMilliseconds = 10_000

export function createDatabases(needs: DatabaseNeeds): Databases {
  const { clock, log } = needs
  const mounted = new Map<string, Mounted>()
  let running = false
  /** What is under way plans the next time when it has ended. */
  let working = false
  let notBefore = 0
  let cancel = (): void => undefined

  function schedule(): void {
    if (!running || working) return
    cancel()
    const times = [...mounted.values()].map(({ rotations, loaded }) => (loaded ? rotations.nextAt() : 0))
    const next = Math.min(...times.map((at) => at ?? Number.POSITIVE_INFINITY))
    if (!Number.isFinite(next)) return
    const wait = Math.max(next, notBefore) - clock.now().getTime()
    cancel = clock.after(Math.min(Math.max(wait, 0), longestWaitMilliseconds), () => {
      work()
        .catch((error: unknown) => {
          notBefore = clock.now().getTime() + retryMilliseconds
          log.error({ reason: reasonOf(error) }, 'passwords of databases could not be looked after')
        })
        .finally(schedule)
    })
  }

  async function work(): Promise<void> {
    working = true
    try {
      await Promise.all([...mounted.values()].map(lookAfter))
    } finally {
      working = false
    }
  }

  async function lookAfter(mount: Mounted): Promise<void> {
    if (!mount.loaded) await load(mount)
    await mount.rotations.runDue()
  }

  async function load(mount: Mounted): Promise<void> {
    await mount.rotations.load()
    mount.loaded = true
    for (const name of await mount.connections.unsettled())
      await mount.connections
        .use(name)
        .catch((error: unknown) =>
          log.warn({ connection: name, reason: reasonOf(error) }, 'a connection is between two passwords'),
        )
  }

  async function maker(): Promise<EngineMaker> {
    const { createDatabaseMount } = await import('./database-mount.ts')
    return ({ id, path }) => {
      const mount = createDatabaseMount(needs, {
        id,
        path,
        onPlan: schedule,
        onWiped: () => mounted.delete(id),
      })
      // The mount was moved: what its engine had open under the old path is closed.
      mounted.get(id)?.connections.closeAll()
      mounted.set(id, { ...mount, loaded: false })
      schedule()
      return mount.engine
    }
  }

  return {
    maker,
    start() {
      running = true
      for (const mount of mounted.values()) mount.loaded = false
      schedule()
    },
    stop() {
      running = false
      cancel()
      for (const { connections } of mounted.values()) connections.closeAll()
    },
    failingRotations: () => [...mounted.values()].flatMap(({ rotations }) => rotations.failing()),
  }
}
