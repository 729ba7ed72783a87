import { AppError } from '../../../core/index.ts'
import type { Reader } from '../../../store/index.ts'
import type { Call, PathSpec, WriteHandler } from '../../engine.ts'
import { listed } from '../../engines/kv2.ts'
import { durationField } from '../../fields.ts'
import { type KeyPair, newPair, rotated, settingsFrom, withSettings } from './named-key.ts'
import type { TokenSettings } from './token-settings.ts'

/** `identity/oidc/key`: what signs. Pairs are made before the transaction, because that takes long. */
export function keyPaths(settings: TokenSettings): PathSpec[] {
  return [
    { pattern: 'oidc/key', list: async () => listed(await settings.keyNames()) },
    {
      pattern: 'oidc/key/{name}',
      events: { update: 'key.changed', delete: 'key.deleted' },
      exists: async (call, reader) => (await settings.key(nameOf(call), reader)) !== undefined,
      async read(call) {
        const key = await settings.key(nameOf(call))
        return (
          key && {
            data: {
              algorithm: key.algorithm,
              allowed_client_ids: key.allowedClientIds,
              rotation_period: key.rotationSeconds,
              verification_ttl: key.verificationSeconds,
            },
          }
        )
      },
      post: (call) => writeKey(settings, call),
      async delete(tx, call) {
        const name = nameOf(call)
        const users = await rolesOf(settings, name, tx)
        if (users.length > 0)
          throw new AppError(
            'request.invalid',
            `unable to delete key "${name}" because it is currently referenced by these roles: ${users.map((user) => user.name).join(', ')}`,
          )
        await settings.removeKey(tx, name)
        return {}
      },
    },
    {
      pattern: 'oidc/key/{name}/rotate',
      events: { update: 'key.rotated' },
      async post(call): Promise<WriteHandler> {
        const name = nameOf(call)
        const known = await settings.key(name)
        if (!known) throw new AppError('request.invalid', `no named key found at "${name}"`)
        const fresh = await newPair(known.algorithm)
        return async (tx) => {
          const key = await settings.key(name, tx)
          if (key?.algorithm !== known.algorithm)
            throw new AppError('request.invalid', `the key "${name}" was changed meanwhile; try again`)
          const left = durationField(call.body, 'verification_ttl')
          const next = rotated(key, fresh, call.now.getTime(), left)
          await settings.setKey(tx, name, next)
          return { note: { key: name, kid: next.current.kid } }
        }
      },
    },
  ]
}

async function writeKey(settings: TokenSettings, call: Call): Promise<WriteHandler> {
  const name = nameOf(call)
  const seen = await settings.key(name)
  const { algorithm } = settingsFrom(call.body, seen)
  const pairs: readonly [KeyPair, KeyPair] | undefined =
    seen?.algorithm === algorithm ? undefined : [await newPair(algorithm), await newPair(algorithm)]
  return async (tx) => {
    const before = await settings.key(name, tx)
    if (before?.algorithm !== seen?.algorithm)
      throw new AppError('request.invalid', `the key "${name}" was changed meanwhile; try again`)
    const next = settingsFrom(call.body, before)
    const users = await rolesOf(settings, name, tx)
    if (users.some(({ role }) => role.ttlSeconds > next.verificationSeconds))
      throw new AppError(
        'request.invalid',
        `unable to update key "${name}" because it is currently referenced by one or more roles with a token ttl greater than ${next.verificationSeconds} seconds`,
      )
    await settings.setKey(tx, name, withSettings(next, before, pairs, call.now.getTime()))
    return { note: { key: name, algorithm } }
  }
}

async function rolesOf(settings: TokenSettings, key: string, reader: Reader) {
  const names = await settings.roleNames(reader)
  const all = await Promise.all(
    names.map(async (name) => ({ name, role: await settings.role(name, reader) })),
  )
  return all.flatMap(({ name, role }) => (role?.key === key ? [{ name, role }] : []))
}

/** Of a named key or a role. */
export function nameOf({ params }: Pick<Call, 'params'>): string {
  const name = params['name'] ?? ''
  if (!/^\w(?:[\w.-]*\w)?$/.test(name) || name.length > 128)
    throw new AppError(
      'request.invalid',
      'a name has 1 to 128 letters, digits, hyphens, underscores and periods',
    )
  return name
}
