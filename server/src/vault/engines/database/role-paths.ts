import { AppError } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, Call, PathSpec } from '../../engine.ts'
import { countField, durationField, textField } from '../../fields.ts'
import type { EngineParts } from './engine-parts.ts'
import { checkedName, listedNames, nameOf } from './names.ts'
import { credentialConfigFrom } from './passwords.ts'
import type { RoleRecord } from './records.ts'
import { statementsField } from './statements.ts'

type Parts = Pick<EngineParts, 'records'>

/** `roles/`: what makes users on demand. */
export function rolePaths(parts: Parts): PathSpec[] {
  const { roles } = parts.records
  return [
    { pattern: 'roles', list: async () => listedNames(await roles.names()) },
    {
      pattern: 'roles/{name}',
      exists: async (call, reader) => (await roles.read(nameOf(call), reader)) !== undefined,
      async read(call) {
        const role = await roles.read(nameOf(call))
        return role && { data: roleView(role) }
      },
      update: (tx, call) => writeRole(parts, tx, call),
      async delete(tx, call) {
        await roles.remove(tx, nameOf(call))
        return {}
      },
    },
  ]
}

async function writeRole({ records }: Parts, tx: Tx, call: Call): Promise<Answer> {
  const name = checkedName(call)
  if (await records.staticRoles.read(name, tx))
    throw new AppError('request.invalid', 'Role and Static Role names must be unique')
  const role = roleFrom(call.body, await records.roles.read(name, tx))
  await records.roles.write(tx, name, role)
  return {}
}

const newRole: RoleRecord = {
  dbName: '',
  creation: [],
  revocation: [],
  rollback: [],
  renewal: [],
  defaultTtlSeconds: 0,
  maxTtlSeconds: 0,
  credentialConfig: {},
  maxLeases: 0,
}

function roleFrom(body: Body, current: RoleRecord = newRole): RoleRecord {
  const role: RoleRecord = {
    dbName: textField(body, 'db_name') ?? current.dbName,
    creation: statementsField(body, 'creation_statements') ?? current.creation,
    revocation: statementsField(body, 'revocation_statements') ?? current.revocation,
    rollback: statementsField(body, 'rollback_statements') ?? current.rollback,
    renewal: statementsField(body, 'renew_statements') ?? current.renewal,
    defaultTtlSeconds: durationField(body, 'default_ttl') ?? current.defaultTtlSeconds,
    maxTtlSeconds: durationField(body, 'max_ttl') ?? current.maxTtlSeconds,
    credentialConfig: credentialConfigFrom(body, current.credentialConfig),
    maxLeases: countField(body, 'max_leases') ?? current.maxLeases,
  }
  if (role.dbName === '') throw new AppError('request.invalid', 'database name is required')
  return role
}

function roleView(role: RoleRecord): Record<string, unknown> {
  return {
    db_name: role.dbName,
    creation_statements: role.creation,
    revocation_statements: role.revocation,
    rollback_statements: role.rollback,
    renew_statements: role.renewal,
    default_ttl: role.defaultTtlSeconds,
    max_ttl: role.maxTtlSeconds,
    credential_type: 'password',
    ...(Object.keys(role.credentialConfig).length > 0 ? { credential_config: role.credentialConfig } : {}),
    ...(role.maxLeases > 0 ? { max_leases: role.maxLeases } : {}),
  }
}
