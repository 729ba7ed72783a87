import { AppError } from '../../../core/index.ts'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { OpenCall } from '../../engine.ts'
import { type Role, roleNameFrom } from './role.ts'

/** Roles of one mount, found by name and by role id. */
export type RoleStore = {
  names(): Promise<string[]>
  read(name: string, reader?: Reader): Promise<Role | undefined>
  byRoleId(roleId: string, reader: Reader): Promise<Role | undefined>
  /** Refuses a role id that another role has. */
  save(tx: Tx, role: Role): Promise<void>
  remove(tx: Tx, role: Role): Promise<void>
}

export function createRoleStore(
  barrier: Pick<Barrier, 'get' | 'put' | 'delete' | 'list' | 'digest'>,
  mountId: string,
): RoleStore {
  const folder = `auth/${mountId}/role/`
  // By digest, because a custom role id may hold any character.
  const idPlace = (roleId: string): string =>
    `auth/${mountId}/role-id/${barrier.digest('role id', roleId).toString('hex')}`

  async function read(name: string, reader?: Reader): Promise<Role | undefined> {
    const bytes = await barrier.get(folder + name, reader)
    return bytes && (JSON.parse(bytes.toString('utf8')) as Role)
  }
  const nameOf = async (roleId: string, reader: Reader): Promise<string | undefined> =>
    (await barrier.get(idPlace(roleId), reader))?.toString('utf8')

  return {
    names: () => barrier.list(folder),
    read,
    async byRoleId(roleId, reader) {
      const name = await nameOf(roleId, reader)
      const role = name === undefined ? undefined : await read(name, reader)
      return role?.roleId === roleId ? role : undefined
    },
    async save(tx, role) {
      const owner = await nameOf(role.roleId, tx)
      if (owner !== undefined && owner !== role.name)
        throw new AppError('request.invalid', 'role_id already in use by another role')
      const before = await read(role.name, tx)
      if (before && before.roleId !== role.roleId) await barrier.delete(tx, idPlace(before.roleId))
      if (owner === undefined) await barrier.put(tx, idPlace(role.roleId), role.name)
      await barrier.put(tx, folder + role.name, JSON.stringify(role))
    },
    async remove(tx, { name, roleId }) {
      await barrier.delete(tx, idPlace(roleId))
      await barrier.delete(tx, folder + name)
    },
  }
}

/** The role of a request that changes one; 404 in Vault's words when there is none. */
export async function existingRole(roles: RoleStore, tx: Tx, call: OpenCall): Promise<Role> {
  const name = roleNameFrom(call.params)
  const role = await roles.read(name, tx)
  if (!role) throw new AppError('request.not_found', `role "${name}" does not exist`)
  return role
}
