import { AppError } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import { unreadable } from '../../duration.ts'
import type { Answer, Body, Call, PathSpec } from '../../engine.ts'
import { isObject, textField } from '../../fields.ts'
import type { Leases } from '../../leases/leases.ts'
import { authPrefix, mountConfigFrom, mountConfigView } from '../../mount-config.ts'
import type { Mounts } from '../../mounts.ts'
import { defaultTtlSeconds } from '../../tokens/lifetime.ts'
import { type Kind, kindOf, mountView } from './mount-view.ts'

const flat = (data: Record<string, unknown>): Answer => ({ data, flat: true })

/** `sys/mounts` and `sys/auth`. */
export function mountPaths(mounts: Mounts, leases: Pick<Leases, 'closeMount'>): PathSpec[] {
  const viewsOf = (kind: Kind): Record<string, unknown> =>
    Object.fromEntries(
      mounts
        .all()
        .filter(({ path }) => kindOf(path) === kind)
        .map((mount) => [mount.path.slice(kind === 'auth' ? authPrefix.length : 0), mountView(mount)]),
    )
  return [
    { pattern: 'mounts', read: async () => flat(viewsOf('secret')) },
    { ...tunePathOf(mounts), sudo: true },
    {
      ...pathOf(mounts, 'secret', 'mounts/{path...}'),
      /** What a mount gave out ends before it does; what cannot be ended keeps it: `sys/leases/revoke-force` is for that. */
      async prepare(call) {
        if (call.operation !== 'delete') return fetchEngine(mounts, 'secret', call)
        const { path } = targetOf('secret', call)
        const mount = mounts.all().find((known) => known.path === path)
        return mount ? leases.closeMount(mount.id, call) : () => undefined
      },
    },
    { pattern: 'auth', read: async () => flat(viewsOf('auth')) },
    {
      ...pathOf(mounts, 'auth', 'auth/{path...}'),
      sudo: true,
      prepare: (call) => fetchEngine(mounts, 'auth', call),
    },
  ]
}

function pathOf(mounts: Mounts, kind: Kind, pattern: string): PathSpec {
  return {
    pattern,
    read: async (call) => mountInfo(mounts, kind, call),
    async update(tx, call) {
      const { path, tuning } = targetOf(kind, call)
      await (tuning ? tune(mounts, tx, path, call) : enable(mounts, tx, path, call.body))
      return {}
    },
    async delete(tx, call) {
      await mounts.disable(tx, targetOf(kind, call).path)
      return {}
    },
  }
}

/** Clients read and tune auth methods here too. They are made and removed at `sys/auth` alone. */
function tunePathOf(mounts: Mounts): PathSpec {
  const { read, update, pattern } = pathOf(mounts, 'auth', 'mounts/auth/{path...}')
  return {
    pattern,
    ...(read ? { read } : {}),
    async update(tx, call) {
      if (!targetOf('auth', call).tuning)
        throw new AppError(
          'request.invalid',
          `cannot mount "${call.path.slice('sys/mounts/'.length)}/": auth methods are at sys/auth`,
        )
      return update?.(tx, call)
    },
  }
}

/** The mount's path, and whether its settings are meant. */
function targetOf(kind: Kind, { params }: Pick<Call, 'params'>): { path: string; tuning: boolean } {
  const written = (params['path'] ?? '').replace(/^\/+|\/+$/g, '')
  const bare = written.replace(/\/tune$/, '')
  if (kind === 'secret' && `${bare}/`.startsWith(authPrefix))
    throw new AppError('request.invalid', `cannot mount "${bare}/"`)
  return { path: `${kind === 'auth' ? authPrefix : ''}${bare}/`, tuning: bare !== written }
}

function mountInfo(mounts: Mounts, kind: Kind, call: Call): Answer {
  const { path, tuning } = targetOf(kind, call)
  const mount = mounts.all().find((known) => known.path === path)
  if (!mount) {
    if (tuning) throw new AppError('request.invalid', `cannot fetch sysview for path ${JSON.stringify(path)}`)
    const what = kind === 'auth' ? 'auth engine' : 'secret engine mount'
    throw new AppError(
      'request.invalid',
      `No ${what} at ${path.slice(kind === 'auth' ? authPrefix.length : 0)}`,
    )
  }
  const view = mountView(mount)
  if (!tuning) return flat(view)
  const { config = {} } = mount
  return flat({
    ...mountConfigView(config, kind === 'auth'),
    default_lease_ttl: config.defaultTtlSeconds || defaultTtlSeconds,
    max_lease_ttl: config.maxTtlSeconds || defaultTtlSeconds,
    description: mount.description,
    ...(kind === 'auth' ? {} : { options: view['options'] }),
  })
}

async function fetchEngine(mounts: Mounts, kind: Kind, call: Call): Promise<() => void> {
  const { path, tuning } = targetOf(kind, call)
  if (call.operation === 'update' && !tuning)
    await mounts.prepare({ path, type: textField(call.body, 'type') ?? '' })
  return () => undefined
}

async function tune(mounts: Mounts, tx: Tx, path: string, { body, now }: Call): Promise<void> {
  const current = mounts.all().find((mount) => mount.path === path)
  if (!path.startsWith(authPrefix) && body['token_type'] !== undefined)
    throw new AppError('request.invalid', "'token_type' can only be modified on auth mounts")
  const description = textField(body, 'description')
  const version = versionFrom(body)
  const config = mountConfigFrom(body, current?.config)
  await mounts.tune(tx, path, {
    now,
    ...(description === undefined ? {} : { description }),
    ...(version === undefined ? {} : { version }),
    ...(config ? { config } : {}),
  })
}

async function enable(mounts: Mounts, tx: Tx, path: string, body: Body): Promise<void> {
  const type = textField(body, 'type')
  if (!type) throw new AppError('request.invalid', 'backend type must be specified as a string')
  const config = mountConfigFrom(objectField(body, 'config'))
  await mounts.enable(tx, {
    path,
    type,
    version: versionFrom(body) ?? '',
    description: textField(body, 'description') ?? '',
    ...(config ? { config } : {}),
  })
}

function versionFrom(body: Body): string | undefined {
  const version = textField(objectField(body, 'options'), 'version')
  if (version && version !== '1' && version !== '2')
    throw new AppError('request.invalid', `a KV of version "${version}" does not exist: 1 or 2`)
  return version
}

function objectField(body: Body, name: string): Body {
  const value = body[name] ?? {}
  if (!isObject(value)) throw unreadable(name, 'it must be an object')
  return value
}
