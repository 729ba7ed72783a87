import { AppError, newUuid } from '../../../core/index.ts'
import type { Body, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import type { Leases } from '../../leases/leases.ts'
import { authPrefix } from '../../mount-config.ts'
import type { Mounts } from '../../mounts.ts'

type Move = { readonly source_mount: string; readonly target_mount: string; readonly status: 'success' }
/** Clients ask right after the move, which is done by then. */
const mostRemembered = 1000

/**
 * `sys/remount`. What a mount holds stays where it is, under the mount's id; its path changes. Leases and tokens that it gave out
 * end, because their paths would lead to nothing.
 */
export function remountPaths(mounts: Mounts, leases: Pick<Leases, 'closeMount'>): PathSpec[] {
  const moves = new Map<string, Move>()
  return [
    {
      pattern: 'remount',
      sudo: true,
      async prepare(call) {
        const { from, to } = placesFrom(call.body)
        mounts.assertMovable(from, to)
        const mount = mounts.all().find(({ path }) => path === from)
        return mount ? leases.closeMount(mount.id, call) : () => undefined
      },
      async update(tx, { body, now }) {
        const { from, to } = placesFrom(body)
        await mounts.move(tx, from, to)
        const id = newUuid(now)
        tx.afterCommit(() => {
          moves.set(id, { source_mount: from, target_mount: to, status: 'success' })
          const [oldest = ''] = moves.keys()
          if (moves.size > mostRemembered) moves.delete(oldest)
        })
        return { data: { migration_id: id }, flat: true, note: { from, to } }
      },
    },
    {
      pattern: 'remount/status/{id}',
      async read({ params }) {
        const id = params['id'] ?? ''
        const move = moves.get(id)
        return move && { data: { migration_id: id, migration_info: move } }
      },
    },
  ]
}

function placesFrom(body: Body): { from: string; to: string } {
  const from = textField(body, 'from') ?? ''
  const to = textField(body, 'to') ?? ''
  if (!from || !to) throw invalid("both 'from' and 'to' path must be specified as a string")
  for (const [name, path] of Object.entries({ from, to }))
    if (path.trim() !== path) throw invalid(`'${name}' path cannot contain trailing whitespace`)
  const places = { from: folder(from), to: folder(to) }
  const isAuth = places.from.startsWith(authPrefix)
  if (isAuth !== places.to.startsWith(authPrefix))
    throw invalid(
      isAuth
        ? `cannot remount auth mount to non-auth mount "${places.to}"`
        : `cannot remount to destination ${places.to}`,
    )
  return places
}

const folder = (path: string): string => `${path.replace(/^\/+|\/+$/g, '')}/`
const invalid = (words: string): AppError => new AppError('request.invalid', words)
