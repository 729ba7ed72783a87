import { randomUUID } from 'node:crypto'
import type { EntryInput } from '../../../audit/index.ts'
import { AppError, actorOf } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, listField, textField } from '../../fields.ts'
import type { EngineParts } from './engine-parts.ts'
import { kindOf, openDatabase } from './kinds.ts'
import { checkedName, listedNames, nameOf } from './names.ts'
import { newPassword } from './passwords.ts'
import type { ConfigRecord } from './records.ts'
import { statementsField } from './statements.ts'

type Parts = Pick<EngineParts, 'mountId' | 'records' | 'connections' | 'passwords' | 'audit'>

/** `config/`: connections to databases, and what is done to a connection as a whole. */
export function configPaths(parts: Parts): PathSpec[] {
  const { records, connections } = parts
  return [
    { pattern: 'config', list: async () => listedNames(await records.configs.names()) },
    {
      pattern: 'config/{name}',
      exists: async (call, reader) => (await records.configs.read(nameOf(call), reader)) !== undefined,
      read: (call) => readConfig(parts, call),
      post: (call) => writeConfig(parts, call),
      async delete(tx, call) {
        await records.configs.remove(tx, nameOf(call))
        tx.afterCommit(() => connections.forget(nameOf(call)))
        return {}
      },
    },
    {
      pattern: 'reset/{name}',
      async post(call) {
        connections.forget(nameOf(call))
        await (await connections.use(nameOf(call))).database.check()
        return {}
      },
    },
    { pattern: 'reload/{plugin}', post: (call) => reload(parts, call.params['plugin'] ?? '') },
    { pattern: 'rotate-root/{name}', post: (call) => rotateRoot(parts, call) },
  ]
}

async function readConfig({ records }: Parts, call: Call): Promise<Answer | undefined> {
  const config = await records.configs.read(nameOf(call))
  if (!config) return undefined
  const kind = await kindOf(config.pluginName)
  const details = Object.entries(config.details).map(([field, value]) => [field, kind.view(field, value)])
  return {
    data: {
      allowed_roles: config.allowedRoles,
      connection_details: Object.fromEntries(details),
      password_policy: config.passwordPolicy,
      plugin_name: config.pluginName,
      plugin_version: '',
      root_credentials_rotate_statements: config.rootRotationStatements,
    },
  }
}

/** Tries the settings before it stores them, unless it is told not to. */
async function writeConfig(parts: Parts, call: Call): Promise<WriteHandler> {
  const { records, connections, mountId } = parts
  const name = checkedName(call)
  let before = await records.configs.read(name)
  if (before?.nextPassword !== undefined && call.body['password'] === undefined) {
    // Which of two passwords holds is found out first, or what is right would be refused.
    await connections.use(name)
    before = await records.configs.read(name)
  }
  const { config, ignored } = await configFrom(call.body, before)
  const database = await openDatabase(`${mountId}/${name}`, config).catch(rejected)
  try {
    if (booleanField(call.body, 'verify_connection') ?? true) await database.check().catch(rejected)
  } finally {
    database.close()
  }
  const warnings = [...(await kindOf(config.pluginName)).warnings(config.details), ...ignored]
  return async (tx) => {
    const stored = await records.configs.read(name, tx)
    if (stored?.revision !== before?.revision)
      throw new AppError('request.conflict', `the connection "${name}" was changed meanwhile; send it again`)
    await records.configs.write(tx, name, withNext(config, stored, call.body))
    tx.afterCommit(() => connections.forget(name))
    return warnings.length > 0 ? { warnings } : {}
  }
}

/** A password that is under way stays so, unless the caller says which it is. */
function withNext(config: ConfigRecord, stored: ConfigRecord | undefined, body: Body): ConfigRecord {
  const next = body['password'] === undefined ? stored?.nextPassword : undefined
  return next === undefined ? config : { ...config, nextPassword: next }
}

/** In Vault's words; a connection that does not work is the caller's to mend. */
function rejected(error: unknown): never {
  if (!(error instanceof AppError)) throw error
  const words = error.detail ?? error.message
  throw new AppError(
    'request.invalid',
    error.code === 'request.invalid'
      ? words.replace(/^(?!error creating)/, 'error creating database object: ')
      : `error creating database object: error verifying connection: ${words}`,
  )
}

const commonFields = [
  'plugin_name',
  'plugin_version',
  'verify_connection',
  'allowed_roles',
  'root_rotation_statements',
  'password_policy',
]
/** Said by clients that know more of them; they ask for nothing. */
const harmlessFields: Readonly<Record<string, unknown>> = {
  disable_automated_rotation: false,
  rotation_period: 0,
  rotation_window: 0,
  rotation_schedule: '',
  self_managed: false,
  auth_type: '',
}

async function configFrom(
  body: Body,
  before: ConfigRecord | undefined,
): Promise<{ config: ConfigRecord; ignored: string[] }> {
  const pluginName = textField(body, 'plugin_name') || before?.pluginName || ''
  if (pluginName === '') throw new AppError('request.invalid', 'empty plugin name')
  const kind = await kindOf(pluginName)
  assertNothingMore(body)
  const known = new Set([...kind.fields, ...commonFields, ...Object.keys(harmlessFields)])
  const unknown = Object.keys(body).filter((field) => !known.has(field))
  const sent = Object.entries(body).filter(([field]) => kind.fields.includes(field))
  const isSecret = ([field]: readonly [string, unknown]): boolean => kind.secretFields.includes(field)
  const secrets = sent.filter(isSecret).map(([field, value]) => [field, String(value ?? '')] as const)
  return {
    config: {
      revision: randomUUID(),
      pluginName,
      allowedRoles: listField(body, 'allowed_roles') ?? before?.allowedRoles ?? [],
      rootRotationStatements:
        statementsField(body, 'root_rotation_statements') ?? before?.rootRotationStatements ?? [],
      passwordPolicy: textField(body, 'password_policy') ?? before?.passwordPolicy ?? '',
      details: { ...before?.details, ...Object.fromEntries(sent.filter((entry) => !isSecret(entry))) },
      secrets: { ...before?.secrets, ...Object.fromEntries(secrets) },
    },
    ignored:
      unknown.length === 0
        ? []
        : [`Endpoint ignored these unrecognized parameters: [${unknown.sort().join(' ')}]`],
  }
}

function assertNothingMore(body: Body): void {
  for (const [field, nothing] of Object.entries(harmlessFields)) {
    const value = body[field]
    if (value === undefined || value === null || String(value) === String(nothing) || value === '') continue
    throw new AppError(
      'request.invalid',
      `${field} is not supported: call rotate-root when the password of the connection is to change`,
    )
  }
  if (textField(body, 'plugin_version'))
    throw new AppError(
      'request.invalid',
      'plugin_version: the plugins here are part of Keyward, without versions',
    )
}

async function reload({ records, connections }: Parts, plugin: string): Promise<Answer> {
  const reset: string[] = []
  for (const name of await records.configs.names()) {
    if ((await records.configs.read(name))?.pluginName !== plugin) continue
    connections.forget(name)
    await (await connections.use(name)).database.check()
    reset.push(name)
  }
  if (reset.length === 0)
    throw new AppError('request.invalid', `no plugins were found with plugin name: ${plugin}`)
  return { data: { connections: reset, count: reset.length } }
}

async function rotateRoot({ connections, passwords, audit }: Parts, call: Call): Promise<Answer> {
  const name = nameOf(call)
  const cannot = (why: string): AppError =>
    new AppError('request.invalid', `unable to rotate root credentials: ${why}`)
  const entry = (outcome: EntryInput['outcome']): EntryInput => ({
    type: 'password.rotated',
    outcome,
    actor: actorOf(call.token.principal),
    target: `path:${call.path}`,
  })
  await connections.rotateRoot(
    name,
    (config, database) => {
      if (!config.details['username']) throw cannot('no username in configuration')
      if (!config.secrets['password']) throw cannot('no password in configuration')
      if (!database.takesPassword)
        throw cannot('connection_url holds the password itself; write {{password}} there')
      return newPassword(passwords, database, config.passwordPolicy)
    },
    {
      intended: (tx: Tx) => audit.record(tx, entry('intent')),
      confirmed: (tx: Tx) => audit.record(tx, entry('done')),
    },
  )
  return {}
}
