import type { Proof } from '@keyward/contract'
import { AppError, Secret } from '../../../core/index.ts'
import type { Call, EngineLease, Grant, PathSpec } from '../../engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { refused } from './failure.ts'
import { isAllowed, nameOf } from './names.ts'
import { newPassword } from './passwords.ts'

type Parts = Pick<EngineParts, 'records' | 'connections' | 'passwords'>

/** `creds/`: a user for as long as a lease lasts. */
export function credentialPaths(parts: Parts): PathSpec[] {
  return [{ pattern: 'creds/{name}', grant: (call) => grantUser(parts, call) }]
}

async function grantUser({ records, connections, passwords }: Parts, call: Call): Promise<Grant> {
  const name = nameOf(call)
  const role = await records.roles.read(name)
  if (!role) throw new AppError('request.invalid', `unknown role: ${name}`)
  const { config, database } = await connections.use(role.dbName)
  if (!isAllowed(config.allowedRoles, name)) throw refused(`"${name}" is not an allowed role`)
  const displayName = call.token.record.displayName
  const username = database.userName({ displayName, roleName: name, now: call.now })
  const policy = role.credentialConfig['password_policy']
  const password = await newPassword(passwords, database, policy, config.passwordPolicy)
  return {
    ttlSeconds: role.defaultTtlSeconds,
    maxTtlSeconds: role.maxTtlSeconds,
    renewable: true,
    role: name,
    mostLeases: role.maxLeases,
    state: {
      username,
      password: password.reveal(),
      connection: role.dbName,
      // For the case that the role is gone when the lease ends.
      ...(role.revocation.length > 0 ? { revocation: JSON.stringify(role.revocation) } : {}),
    },
    async make(expiresAt) {
      await database.createUser({ name: username, password, expiresAt, statements: role.creation })
      return { username, password: password.reveal() }
    },
  }
}

/**
 * Removes the user of a lease, by the statements that its role has now or had when it was made, and tries to sign in with it. Who can
 * still do that has not been removed.
 */
export async function endUser(
  { records, connections }: Parts,
  lease: EngineLease,
): Promise<readonly Proof[]> {
  const { username, password, connection, revocation } = userOf(lease)
  const role = await records.roles.read(lease.role)
  const { database } = await connections.use(connection)
  const statements = role?.dbName === connection ? role.revocation : revocation
  await database.removeUser({ name: username, statements })
  // A lease of an earlier version of Keyward has no password.
  if (password === undefined) return []
  if (await database.admits({ name: username, password }))
    throw new AppError(
      'lease.end_failed',
      `the user of ${connection} can still sign in after its revocation; look at the role's revocation_statements`,
    )
  const how = 'a sign-in with its user and password'
  return [{ by: `database ${connection}`, how, answer: 'not let in', result: 'refused', livesUntil: null }]
}

export async function extendUser(
  { records, connections }: Parts,
  lease: EngineLease,
  expiresAt: Date,
): Promise<void> {
  const { username, connection } = userOf(lease)
  const role = await records.roles.read(lease.role)
  if (!role)
    throw new AppError('request.invalid', `error during renew: could not find role with name "${lease.role}"`)
  const { database } = await connections.use(connection)
  await database.extendUser({ name: username, expiresAt, statements: role.renewal })
}

function userOf({ state }: EngineLease): {
  username: string
  password: Secret | undefined
  connection: string
  revocation: string[]
} {
  const { username, password, connection, revocation } = state
  if (typeof username !== 'string' || typeof connection !== 'string')
    throw new AppError('vault.entry_corrupt', 'a lease of a database names no user')
  return {
    username,
    password: typeof password === 'string' ? new Secret(password) : undefined,
    connection,
    revocation: typeof revocation === 'string' ? (JSON.parse(revocation) as string[]) : [],
  }
}
