import { randomUUID } from 'node:crypto'
import { AppError } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Answer, Call, Engine, PathSpec, RenewalTerms } from '../../engine.ts'
import { listed } from '../../engines/kv2.ts'
import { booleanField } from '../../fields.ts'
import type { EngineMaker } from '../../mounts.ts'
import { foldingCase } from '../../spelling.ts'
import type { TokenRecord } from '../../tokens/token-record.ts'
import type { Lockouts } from '../lockouts.ts'
import type { SignInNeeds } from '../login.ts'
import { createLogin } from './login.ts'
import {
  assertConstrained,
  customRoleId,
  fieldBody,
  fieldView,
  newRole,
  type RoleField,
  roleFields,
  roleFrom,
  roleNameFrom,
  roleView,
} from './role.ts'
import { createRoleStore, existingRole, type RoleStore } from './role-store.ts'
import { secretIdPaths } from './secret-id-paths.ts'
import { createSecretIds, type SecretIds } from './secret-ids.ts'

type Needs = SignInNeeds & { barrier: Barrier; lockouts: Lockouts }

/** Roles for machines: a role id says which, a secret id proves it. */
export function createAppRole({ barrier, tokens, identity, lockouts }: Needs): EngineMaker {
  return (mount, config): Engine => {
    const { id, path, accessor } = mount
    const roles = createRoleStore(barrier, id)
    const secretIds = createSecretIds(barrier, id)
    const at = { mount: { id, accessor, config }, path }
    const login = createLogin({ roles, secretIds, tokens, identity, lockouts, ...at })

    async function renewal(tx: Tx, { issuer }: TokenRecord): Promise<RenewalTerms> {
      const role = await roles.read(issuer?.name ?? '', tx)
      if (!role) throw new AppError('request.invalid', 'role does not exist during renewal')
      const { ttlSeconds, maxTtlSeconds, periodSeconds } = role.terms
      return { ttlSeconds, maxTtlSeconds, periodSeconds }
    }

    return {
      type: 'approle',
      paths: [
        { pattern: 'login', events: { update: 'token.created' }, open: login },
        ...foldingCase([
          ...rolePaths(roles, secretIds),
          ...secretIdPaths(roles, secretIds),
          ...Object.entries(roleFields).map(([segment, field]) => fieldPath(roles, segment, field)),
        ]),
      ],
      wipe: (tx) => barrier.deleteFolder(tx, `auth/${id}/`),
      tidy: (tx, now) => tidy(roles, secretIds, tx, now),
      renewal,
    }
  }
}

function rolePaths(roles: RoleStore, secretIds: SecretIds): PathSpec[] {
  return [
    { pattern: 'role', list: async () => listed(await roles.names()) },
    {
      pattern: 'role/{role}',
      exists: async (call, reader) => (await roles.read(roleNameFrom(call.params), reader)) !== undefined,
      async read({ params }) {
        const role = await roles.read(roleNameFrom(params))
        return role && { data: roleView(role) }
      },
      update: (tx, call) => writeRole(roles, tx, call),
      async delete(tx, { params }) {
        const role = await roles.read(roleNameFrom(params), tx)
        if (!role) return {}
        await secretIds.removeAll(tx, role)
        await roles.remove(tx, role)
        return {}
      },
    },
    {
      pattern: 'role/{role}/role-id',
      async read({ params }) {
        const role = await roles.read(roleNameFrom(params))
        return role && { data: { role_id: role.roleId } }
      },
      async update(tx, call) {
        const role = await existingRole(roles, tx, call)
        const roleId = customRoleId(call.body)
        if (roleId === undefined) throw new AppError('request.invalid', 'missing role_id')
        await roles.save(tx, { ...role, roleId })
        return {}
      },
    },
    {
      pattern: 'role/{role}/local-secret-ids',
      async read({ params }) {
        const role = await roles.read(roleNameFrom(params))
        return role && { data: { local_secret_ids: role.localSecretIds } }
      },
    },
    {
      pattern: 'tidy/secret-id',
      async update(tx, { now }) {
        const count = await tidy(roles, secretIds, tx, now)
        const warning = `Tidy operation has finished: ${count} expired secret IDs were removed.`
        return { status: 202, warnings: [warning], note: { removed: count } }
      },
    },
  ]
}

async function tidy(roles: RoleStore, secretIds: SecretIds, tx: Tx, now: Date): Promise<number> {
  let count = 0
  for (const name of await roles.names()) {
    const role = await roles.read(name, tx)
    if (role) count += await secretIds.tidy(tx, role, now)
  }
  return count
}

async function writeRole(roles: RoleStore, tx: Tx, { params, body }: Call): Promise<Answer> {
  const name = roleNameFrom(params)
  const before = await roles.read(name, tx)
  const local = booleanField(body, 'local_secret_ids')
  if (before && local !== undefined && local !== before.localSecretIds)
    throw new AppError('request.invalid', 'local_secret_ids can only be modified during role creation')
  const start = before ?? { ...newRole(name, randomUUID(), randomUUID()), localSecretIds: local === true }
  const role = roleFrom(body, start)
  await roles.save(tx, { ...role, roleId: customRoleId(body) ?? role.roleId })
  return {}
}

const deprecated: Answer = {
  warnings: [
    'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.',
  ],
}

function fieldPath(roles: RoleStore, segment: string, field: RoleField): PathSpec {
  return {
    pattern: `role/{role}/${segment}`,
    async read({ params }) {
      const role = await roles.read(roleNameFrom(params))
      return role && { data: fieldView(role, field), ...(field.also === 'bound_cidr_list' ? deprecated : {}) }
    },
    async update(tx, call) {
      const role = await existingRole(roles, tx, call)
      await roles.save(tx, roleFrom(fieldBody(call.body, field), role))
      return {}
    },
    async delete(tx, call) {
      const role = field.reset(await existingRole(roles, tx, call))
      assertConstrained(role)
      await roles.save(tx, role)
      return {}
    },
  }
}
