import { AppError, Secret } from '../../core/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { parseDuration } from '../duration.ts'
import type { Call, Engine, PathSpec } from '../engine.ts'
import { isObject } from '../fields.ts'
import { defaultTtlSeconds } from '../tokens/lifetime.ts'
import { folderName, listed } from './kv2.ts'

type Options = {
  readonly type: string
  /** The storage folder of a request: one of the mount, or one of the token for the cubbyhole. */
  readonly root: (call: Call) => string
  /** The lease time that a client is told; nothing happens at its end. */
  readonly leaseSeconds: number
  readonly wipeRoot: string
}

/** Unversioned secrets: KV version 1, and the cubbyhole, which differs only in where it keeps them. */
function createPlainKv(barrier: Barrier, mountPath: string, options: Options): Engine {
  const { root, leaseSeconds } = options
  const nameOf = ({ params }: Call): string => params['name'] ?? ''
  const isFolder = (call: Call): boolean => nameOf(call) === '' || nameOf(call).endsWith('/')
  const place = (call: Call): string => {
    if (isFolder(call)) throw new AppError('request.invalid', 'missing path')
    return root(call) + nameOf(call)
  }
  const path: PathSpec = {
    pattern: '{name...}',
    target: ({ params }) => `secret:${mountPath}${params['name'] ?? ''}`,
    events: {
      read: 'secret.read',
      list: 'secret.listed',
      update: 'secret.written',
      delete: 'secret.deleted',
    },
    exists: async (call, reader) => (await barrier.get(place(call), reader)) !== undefined,
    async read(call) {
      const bytes = isFolder(call) ? undefined : await barrier.get(place(call))
      const text = bytes?.toString('utf8')
      return text === undefined
        ? undefined
        : { dataText: new Secret(text), leaseSeconds: ownLeaseOf(text) ?? leaseSeconds }
    },
    list: async (call) => listed(await barrier.list(root(call) + folderName(call))),
    async update(tx, call) {
      if (Object.keys(call.body).length === 0) throw new AppError('request.invalid', 'missing data fields')
      await barrier.put(tx, place(call), JSON.stringify(call.body))
      return {}
    },
    async delete(tx, call) {
      if (!isFolder(call)) await barrier.delete(tx, place(call))
      return {}
    },
  }
  return { type: options.type, paths: [path], wipe: (tx) => barrier.deleteFolder(tx, options.wipeRoot) }
}

/** A secret may say itself how long its readers should keep it, as `ttl` or `lease`; what is no duration is passed over. */
function ownLeaseOf(text: string): number | undefined {
  if (!text.includes('"ttl"') && !text.includes('"lease"')) return undefined
  const secret: unknown = JSON.parse(text)
  if (!isObject(secret)) return undefined
  try {
    return parseDuration(secret['ttl'] ?? secret['lease'], 'ttl')
  } catch {
    return undefined
  }
}

/** Where the secrets of a mount lie. */
export const kv1Folder = (mountId: string): string => `kv/${mountId}/`

export const createKv1 = (barrier: Barrier, mountId: string, mountPath: string): Engine =>
  createPlainKv(barrier, mountPath, {
    type: 'kv',
    root: () => kv1Folder(mountId),
    leaseSeconds: defaultTtlSeconds,
    wipeRoot: kv1Folder(mountId),
  })

/** Secrets that belong to one token and end with it. */
export const cubbyholeOf = (tokenId: string): string => `cubbyhole/${tokenId}/`

export const createCubbyhole = (barrier: Barrier): Engine =>
  createPlainKv(barrier, 'cubbyhole/', {
    type: 'cubbyhole',
    root({ token: { record } }) {
      if (record.batch)
        throw new AppError(
          'request.invalid',
          'cubbyhole operations are only supported by "service" type tokens',
        )
      return cubbyholeOf(record.id)
    },
    leaseSeconds: 0,
    wipeRoot: 'cubbyhole/',
  })
