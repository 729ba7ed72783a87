import { AppError, Secret } from '../../core/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Call, Engine, PathSpec } from '../engine.ts'
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
  const place = (call: Call): string => {
    const name = call.params['name'] ?? ''
    if (name === '' || name.endsWith('/'))
      throw new AppError('request.invalid', "a secret's path is not empty and does not end in '/'")
    return root(call) + name
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
      const bytes = await barrier.get(place(call))
      return bytes && { dataText: new Secret(bytes.toString('utf8')), leaseSeconds }
    },
    list: async (call) => listed(await barrier.list(root(call) + folderName(call))),
    async update(tx, call) {
      if (Object.keys(call.body).length === 0) throw new AppError('request.invalid', 'missing data fields')
      await barrier.put(tx, place(call), JSON.stringify(call.body))
      return {}
    },
    async delete(tx, call) {
      await barrier.delete(tx, place(call))
      return {}
    },
  }
  return { type: options.type, paths: [path], wipe: (tx) => barrier.deleteFolder(tx, options.wipeRoot) }
}

export const createKv1 = (barrier: Barrier, mountId: string, mountPath: string): Engine =>
  createPlainKv(barrier, mountPath, {
    type: 'kv',
    root: () => `kv/${mountId}/`,
    leaseSeconds: defaultTtlSeconds,
    wipeRoot: `kv/${mountId}/`,
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
