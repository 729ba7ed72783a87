import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Body } from '../../engine.ts'

/** A connection to a database: `config/<name>`. */
export type ConfigRecord = {
  /** New with each change, so that open connections know that they are old. */
  readonly revision: string
  readonly pluginName: string
  readonly allowedRoles: readonly string[]
  readonly rootRotationStatements: readonly string[]
  readonly passwordPolicy: string
  /** The plugin's own settings, as they were sent. */
  readonly details: Body
  /** Those of them that are never shown, with the password. */
  readonly secrets: Readonly<Record<string, string>>
  /** Stored before the database is told: until it is confirmed, either of the two may be the right one. */
  readonly nextPassword?: string
}

/** What makes users: `roles/<name>`. */
export type RoleRecord = {
  readonly dbName: string
  readonly creation: readonly string[]
  readonly revocation: readonly string[]
  readonly rollback: readonly string[]
  readonly renewal: readonly string[]
  readonly defaultTtlSeconds: number
  readonly maxTtlSeconds: number
  readonly credentialConfig: Readonly<Record<string, string>>
  /** Leases at once; 0: without limit. */
  readonly maxLeases: number
}

/** A user that exists, whose password Keyward changes: `static-roles/<name>`. */
export type StaticRoleRecord = {
  readonly dbName: string
  readonly username: string
  readonly rotationStatements: readonly string[]
  readonly credentialConfig: Readonly<Record<string, string>>
  /** One of the two: seconds, or a cron expression with the seconds after each of its times in which a change may begin. */
  readonly rotationPeriodSeconds: number
  readonly rotationSchedule: string
  readonly rotationWindowSeconds: number
  /** Undefined until the first change is confirmed. */
  readonly password?: string
  readonly rotatedAt?: number
  /** As with a connection. */
  readonly nextPassword?: string
}

export type Records<T> = {
  names(): Promise<string[]>
  read(name: string, reader?: Reader): Promise<T | undefined>
  write(tx: Tx, name: string, record: T): Promise<void>
  remove(tx: Tx, name: string): Promise<void>
}

/** All that one mount keeps. */
export type DatabaseRecords = {
  readonly configs: Records<ConfigRecord>
  readonly roles: Records<RoleRecord>
  readonly staticRoles: Records<StaticRoleRecord>
  wipe(tx: Tx): Promise<void>
}

export function createDatabaseRecords(barrier: Barrier, mountId: string): DatabaseRecords {
  const root = `database/${mountId}/`
  function records<T>(folder: string): Records<T> {
    const parse = (bytes: Buffer): T => JSON.parse(bytes.toString('utf8')) as T
    return {
      names: () => barrier.list(root + folder),
      read: (name, reader) => barrier.view(root + folder + name, parse, reader),
      write: (tx, name, record) => barrier.put(tx, root + folder + name, JSON.stringify(record)),
      async remove(tx, name) {
        await barrier.delete(tx, root + folder + name)
      },
    }
  }
  return {
    configs: records('config/'),
    roles: records('role/'),
    staticRoles: records('static-role/'),
    wipe: (tx) => barrier.deleteFolder(tx, root),
  }
}
