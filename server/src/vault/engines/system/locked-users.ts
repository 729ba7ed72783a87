import type { Lockouts } from '../../auth/lockouts.ts'
import type { PathSpec } from '../../engine.ts'
import type { Mounts } from '../../mounts.ts'

/** `sys/locked-users`: who was guessed at too often, and the way out before the time is over. */
export function lockedUserPaths(lockouts: Lockouts, mounts: Pick<Mounts, 'all'>): PathSpec[] {
  return [
    {
      pattern: 'locked-users',
      async read({ query }) {
        const asked = query['mount_accessor']
        const users = lockouts.locked().filter(({ mountAccessor }) => !asked || mountAccessor === asked)
        const accessors = [...new Set(users.map(({ mountAccessor }) => mountAccessor))]
        const byAccessor = accessors.map((accessor) => {
          const names = users
            .filter(({ mountAccessor }) => mountAccessor === accessor)
            .map(({ name }) => name)
          return {
            mount_accessor: accessor,
            mount_path: mounts.all().find((mount) => mount.accessor === accessor)?.path ?? '',
            counts: names.length,
            alias_identifiers: names.sort(),
          }
        })
        const whole = {
          namespace_id: 'root',
          namespace_path: '',
          counts: users.length,
          mount_accessors: byAccessor,
        }
        return { data: { total: users.length, by_namespace: users.length > 0 ? [whole] : [] } }
      },
    },
    {
      pattern: 'locked-users/{accessor}/unlock/{name}',
      async update(tx, { params }) {
        const { accessor: mountAccessor = '', name: asked = '' } = params
        // Users' names are kept in lower case, role ids as they are.
        const isRole = lockouts
          .locked()
          .some((user) => user.mountAccessor === mountAccessor && user.name === asked)
        const user = { mountAccessor, name: isRole ? asked : asked.toLowerCase() }
        await lockouts.unlock(tx, user)
        return { note: { unlocked: user.name } }
      },
    },
  ]
}
