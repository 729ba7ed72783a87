import { AppError, actorOf } from '../../../core/index.ts'
import type { Answer, Body, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, durationField, textField } from '../../fields.ts'
import { parseSchedule } from './cron.ts'
import type { EngineParts } from './engine-parts.ts'
import { isRefusal, refused } from './failure.ts'
import { checkedName, isAllowed, listedNames, nameOf } from './names.ts'
import { credentialConfigFrom } from './passwords.ts'
import type { StaticRoleRecord } from './records.ts'
import { dueAt } from './rotations.ts'
import { statementsField } from './statements.ts'

type Parts = Pick<EngineParts, 'records' | 'connections' | 'rotations' | 'store' | 'clock'>

const shortestPeriodSeconds = 5
const shortestWindowSeconds = 3600

/** `static-roles/`: users that exist, whose passwords are changed again and again. */
export function staticRolePaths(parts: Parts): PathSpec[] {
  const { staticRoles } = parts.records
  return [
    { pattern: 'static-roles', list: async () => listedNames(await staticRoles.names()) },
    {
      pattern: 'static-roles/{name}',
      exists: async (call, reader) => (await staticRoles.read(nameOf(call), reader)) !== undefined,
      async read(call) {
        const role = await staticRoles.read(nameOf(call))
        return role && { data: staticRoleView(role) }
      },
      post: (call) => writeStaticRole(parts, call),
      async delete(tx, call) {
        const name = nameOf(call)
        await staticRoles.remove(tx, name)
        tx.afterCommit(() => parts.rotations.forget(name))
        return {}
      },
    },
    { pattern: 'static-creds/{name}', read: (call) => readStaticCredentials(parts, call) },
    {
      pattern: 'rotate-role/{name}',
      async post(call) {
        await parts.rotations.rotate(nameOf(call), actorOf(call.token.principal)).catch(notFinished)
        return {}
      },
    },
  ]
}

function notFinished(error: unknown): never {
  if (!(error instanceof AppError) || error.code === 'request.invalid') throw error
  throw new AppError(
    error.code,
    'unable to finish rotating credentials; retries will continue in the background but it is also safe to retry manually: ' +
      (error.detail ?? error.message),
  )
}

async function writeStaticRole(parts: Parts, call: Call): Promise<Answer | WriteHandler> {
  const name = checkedName(call)
  const known = await parts.records.staticRoles.read(name)
  if (!known) return createStaticRole(parts, call, name)
  return async (tx) => {
    const stored = await parts.records.staticRoles.read(name, tx)
    if (!stored) throw new AppError('request.conflict', `the static role "${name}" was deleted meanwhile`)
    const role = staticRoleFrom(call.body, stored)
    await parts.records.staticRoles.write(tx, name, role)
    tx.afterCommit(() => parts.rotations.plan(name, role))
    return {}
  }
}

/** Takes the user over: its password is changed at once, because Keyward has to know it. */
async function createStaticRole(parts: Parts, call: Call, name: string): Promise<Answer> {
  const { records, connections, rotations, store } = parts
  const role = staticRoleFrom(call.body, undefined)
  const { config, database } = await connections.use(role.dbName)
  if (!isAllowed(config.allowedRoles, name)) throw refused(`"${name}" is not an allowed role`)
  await database.check()
  await store.write(async (tx) => {
    if (await records.roles.read(name, tx))
      throw new AppError('request.invalid', 'Role and Static Role names must be unique')
    if (await records.staticRoles.read(name, tx))
      throw new AppError('request.conflict', `the static role "${name}" was made meanwhile`)
    await records.staticRoles.write(tx, name, role)
  })
  try {
    await rotations.rotate(name, actorOf(call.token.principal))
  } catch (error) {
    // Certain: the password is as it was, and the role would be of no use. Else it is kept, and finished later.
    if (isRefusal(error)) {
      await store.write((tx) => records.staticRoles.remove(tx, name))
      rotations.forget(name)
    }
    throw error instanceof AppError
      ? new AppError(error.code, `error setting credentials: ${error.detail ?? error.message}`)
      : error
  }
  return {}
}

async function readStaticCredentials({ records, clock }: Parts, call: Call): Promise<Answer> {
  const name = nameOf(call)
  const role = await records.staticRoles.read(name)
  if (!role) throw new AppError('request.invalid', `unknown role: ${name}`)
  const config = await records.configs.read(role.dbName)
  if (!config) throw refused(`failed to find entry for connection with name: "${role.dbName}"`)
  if (!isAllowed(config.allowedRoles, name)) throw refused(`"${name}" is not an allowed role`)
  if (role.password === undefined || role.rotatedAt === undefined)
    throw refused(`the password of "${name}" has not been set yet; it is being tried`)
  const now = clock.now()
  return {
    data: {
      username: role.username,
      password: role.password,
      ttl: Math.max(0, Math.round((dueAt(role, now) - now.getTime()) / 1000)),
      ...timingView(role),
      last_vault_rotation: new Date(role.rotatedAt).toISOString(),
    },
    note: { role: name },
  }
}

function staticRoleFrom(body: Body, current: StaticRoleRecord | undefined): StaticRoleRecord {
  if (textField(body, 'self_managed_password') || booleanField(body, 'self_managed'))
    throw invalid(
      "self-managed static roles are not supported: the connection's account changes the password",
    )
  if (textField(body, 'password') || booleanField(body, 'skip_import_rotation'))
    throw invalid(
      'the password is changed when the role is made; password and skip_import_rotation are not supported',
    )
  const username = textField(body, 'username') ?? current?.username ?? ''
  const dbName = textField(body, 'db_name') ?? current?.dbName ?? ''
  if (dbName === '') throw invalid('database name is a required field')
  if (username === '') throw invalid('username is a required field to create a static account')
  if (current && current.username !== username) throw invalid('cannot update static account username')
  return {
    ...(current ?? {}),
    dbName,
    username,
    rotationStatements: statementsField(body, 'rotation_statements') ?? current?.rotationStatements ?? [],
    credentialConfig: credentialConfigFrom(body, current?.credentialConfig ?? {}),
    ...timingFrom(body, current),
  }
}

type Timing = Pick<StaticRoleRecord, 'rotationPeriodSeconds' | 'rotationSchedule' | 'rotationWindowSeconds'>

function timingFrom(body: Body, current: Timing | undefined): Timing {
  const period = durationField(body, 'rotation_period') || undefined
  const schedule = textField(body, 'rotation_schedule') || undefined
  const window = durationField(body, 'rotation_window')
  if (period !== undefined && schedule !== undefined)
    throw invalid(
      'mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided',
    )
  const kept = period === undefined ? current?.rotationSchedule || undefined : undefined
  const rotationSchedule = schedule ?? kept
  return rotationSchedule === undefined
    ? periodic(period ?? current?.rotationPeriodSeconds, window)
    : scheduled(rotationSchedule, window ?? current?.rotationWindowSeconds ?? 0)
}

function periodic(seconds: number | undefined, window: number | undefined): Timing {
  if (window) throw invalid('rotation_window is invalid with use of rotation_period')
  if (seconds === undefined)
    throw invalid('one of rotation_schedule or rotation_period must be provided to create a static account')
  if (seconds < shortestPeriodSeconds)
    throw invalid(`rotation_period must be ${shortestPeriodSeconds} seconds or more`)
  return { rotationPeriodSeconds: seconds, rotationSchedule: '', rotationWindowSeconds: 0 }
}

function scheduled(rotationSchedule: string, window: number): Timing {
  parseSchedule(rotationSchedule)
  if (window > 0 && window < shortestWindowSeconds)
    throw invalid(`rotation_window must be ${shortestWindowSeconds} seconds or more`)
  return { rotationPeriodSeconds: 0, rotationSchedule, rotationWindowSeconds: window }
}

function staticRoleView(role: StaticRoleRecord): Record<string, unknown> {
  return {
    db_name: role.dbName,
    username: role.username,
    rotation_statements: role.rotationStatements,
    credential_type: 'password',
    ...timingView(role),
    ...(role.rotatedAt === undefined ? {} : { last_vault_rotation: new Date(role.rotatedAt).toISOString() }),
    ...(Object.keys(role.credentialConfig).length > 0 ? { credential_config: role.credentialConfig } : {}),
  }
}

function timingView({ rotationPeriodSeconds, rotationSchedule, rotationWindowSeconds }: Timing) {
  if (rotationSchedule === '') return { rotation_period: rotationPeriodSeconds }
  return { rotation_schedule: rotationSchedule, rotation_window: rotationWindowSeconds }
}

const invalid = (what: string): AppError => new AppError('request.invalid', what)
