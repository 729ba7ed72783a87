import type { Audit, EntryInput } from '../../../audit/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  type Log,
  reasonOf,
  Secret,
  systemPrincipal,
} from '../../../core/index.ts'
import type { Store, Tx } from '../../../store/index.ts'
import type { PasswordPolicies } from '../../password-policies.ts'
import type { Connections } from './connections.ts'
import { parseSchedule } from './cron.ts'
import { refused } from './failure.ts'
import { isAllowed } from './names.ts'
import { newPassword } from './passwords.ts'
import { createQueues } from './queues.ts'
import type { DatabaseRecords, StaticRoleRecord } from './records.ts'

/** Changes the passwords of static roles when their time has come, and finishes what a process left half done. */
export type Rotations = {
  /** Now; the role's next time is counted from here. When it fails it is tried again by itself. */
  rotate(name: string, actor: string): Promise<void>
  /** The role is new or was changed. */
  plan(name: string, role: StaticRoleRecord): void
  forget(name: string): void
  /** Reads all roles, after a start. */
  load(): Promise<void>
  nextAt(): number | undefined
  runDue(): Promise<void>
  failing(): readonly FailingRotation[]
}

export type FailingRotation = {
  readonly path: string
  readonly attempts: number
  readonly nextTryAt: Date
  readonly reason: string
}

type Needs = {
  records: DatabaseRecords
  connections: Pick<Connections, 'use'>
  passwords: Pick<PasswordPolicies, 'generate'>
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  clock: Pick<Clock, 'now'>
  log: Log
  mountPath: string
  /** The time of the next change may have become another. */
  onPlan: () => void
}

const firstRetryMilliseconds = 5000
const longestRetryMilliseconds = 300_000

export function createRotations(needs: Needs): Rotations {
  const { records, connections, passwords, store, audit, clock, log, mountPath, onPlan } = needs
  const queues = createQueues()
  /** When each is due, in milliseconds. */
  const due = new Map<string, number>()
  const failures = new Map<string, FailingRotation>()
  const pathOf = (name: string): string => `${mountPath}static-roles/${name}`
  const entryOf = (name: string, actor: string, outcome: EntryInput['outcome']): EntryInput => ({
    type: 'password.rotated',
    outcome,
    actor,
    target: `path:${pathOf(name)}`,
  })

  function plan(name: string, role: StaticRoleRecord): void {
    due.set(name, dueAt(role, clock.now()))
    onPlan()
  }

  function forget(name: string): void {
    due.delete(name)
    failures.delete(name)
  }

  /** The password is stored before the database is told, so that it is known whatever happens in between. */
  async function change(name: string, actor: string): Promise<void> {
    const role = await required(records, name)
    const { config, database } = await connections.use(role.dbName)
    if (!isAllowed(config.allowedRoles, name)) throw refused(`"${name}" is not an allowed role`)
    const fresh = await newPassword(
      passwords,
      database,
      role.credentialConfig['password_policy'],
      config.passwordPolicy,
    )
    const password = await store.write(async (tx) => {
      const stored = await required(records, name, tx)
      const nextPassword = stored.nextPassword ?? fresh.reveal()
      await records.staticRoles.write(tx, name, { ...stored, nextPassword })
      await audit.record(tx, entryOf(name, actor, 'intent'))
      return new Secret(nextPassword)
    })
    await database.setPassword({ name: role.username, password, statements: role.rotationStatements })
    await store.write((tx) => confirm(tx, name, password, actor))
  }

  async function confirm(tx: Tx, name: string, password: Secret, actor: string): Promise<void> {
    const stored = await records.staticRoles.read(name, tx)
    // The role was deleted meanwhile, and perhaps made anew.
    if (stored?.nextPassword !== password.reveal()) return
    const { nextPassword, ...rest } = stored
    const role = { ...rest, password: nextPassword, rotatedAt: clock.now().getTime() }
    await records.staticRoles.write(tx, name, role)
    await audit.record(tx, entryOf(name, actor, 'done'))
    tx.afterCommit(() => {
      failures.delete(name)
      plan(name, role)
    })
  }

  async function failed(name: string, actor: string, error: unknown): Promise<void> {
    const attempts = (failures.get(name)?.attempts ?? 0) + 1
    const wait = Math.min(firstRetryMilliseconds * 2 ** (attempts - 1), longestRetryMilliseconds)
    const nextTryAt = new Date(clock.now().getTime() + wait)
    const reason = error instanceof AppError ? reasonOf(error) : 'internal error'
    failures.set(name, { path: pathOf(name), attempts, nextTryAt, reason })
    due.set(name, nextTryAt.getTime())
    onPlan()
    log.warn({ path: pathOf(name), attempts, reason }, 'a password could not be rotated; it is tried again')
    // The first time, then more and more rarely.
    if ((attempts & (attempts - 1)) === 0)
      await audit.recordNow({ ...entryOf(name, actor, 'failed'), detail: { attempts, reason } })
  }

  async function rotate(name: string, actor: string): Promise<void> {
    await queues.run(name, async () => {
      try {
        await change(name, actor)
      } catch (error) {
        if (await records.staticRoles.read(name)) await failed(name, actor, error)
        throw error
      }
    })
  }

  async function rotateIfDue(name: string): Promise<void> {
    const role = await records.staticRoles.read(name)
    if (!role) return forget(name)
    const now = clock.now()
    // Too late for its window: the next time counts.
    if (dueAt(role, now) > now.getTime()) return plan(name, role)
    try {
      await rotate(name, actorOf(systemPrincipal('rotation')))
    } catch (error) {
      // What the database refused is tried again at its own time. Anything else, such as a storage that fails, has no time yet.
      if ((due.get(name) ?? Number.POSITIVE_INFINITY) <= now.getTime()) throw error
    }
  }

  return {
    rotate,
    plan,
    forget,
    async load() {
      for (const name of await records.staticRoles.names()) {
        const role = await records.staticRoles.read(name)
        if (role) plan(name, role)
      }
    },
    nextAt: () => (due.size === 0 ? undefined : Math.min(...due.values())),
    async runDue() {
      const now = clock.now().getTime()
      const names = [...due].filter(([, at]) => at <= now).map(([name]) => name)
      await Promise.all(names.map(rotateIfDue))
    },
    failing: () => [...failures.values()],
  }
}

async function required(
  { staticRoles }: Pick<DatabaseRecords, 'staticRoles'>,
  name: string,
  tx?: Tx,
): Promise<StaticRoleRecord> {
  const role = await staticRoles.read(name, tx)
  if (!role) throw new AppError('request.invalid', 'no static role found for role name')
  return role
}

/** In milliseconds. What was begun is due at once: the database may have the new password already. */
export function dueAt(role: StaticRoleRecord, now: Date): number {
  const { rotatedAt, nextPassword, rotationPeriodSeconds, rotationSchedule, rotationWindowSeconds } = role
  if (rotatedAt === undefined || nextPassword !== undefined) return 0
  if (rotationSchedule === '') return rotatedAt + rotationPeriodSeconds * 1000
  const schedule = parseSchedule(rotationSchedule)
  const at = schedule.next(new Date(rotatedAt)).getTime()
  const late = rotationWindowSeconds > 0 && now.getTime() > at + rotationWindowSeconds * 1000
  if (!late) return at
  // A window that began before now and is still open counts too.
  return schedule.next(new Date(now.getTime() - rotationWindowSeconds * 1000)).getTime()
}
