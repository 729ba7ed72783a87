import { randomUUID } from 'node:crypto'
import { AppError, Secret } from '../../../core/index.ts'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import { checkedCidrs, outsideOf } from '../../cidr.ts'
import type { Body } from '../../engine.ts'
import { countField, durationField, isObject, listField, textField, textMapField } from '../../fields.ts'
import type { Role } from './role.ts'

/** What is kept of a secret id: not itself, but a keyed digest under which this is found. Times in milliseconds. */
export type SecretId = {
  readonly accessor: string
  readonly metadata: Readonly<Record<string, string>>
  readonly cidrs: readonly string[]
  readonly tokenCidrs: readonly string[]
  /** null: without limit. */
  readonly usesLeft: number | null
  readonly ttlSeconds: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly expiresAt: number | null
}
/** `key` is the digest. */
export type KeptSecretId = { readonly key: string; readonly secretId: SecretId }

/** The secret ids of the roles of one mount. */
export type SecretIds = {
  create(
    tx: Tx,
    role: Role,
    body: Body,
    now: Date,
    custom?: Secret,
  ): Promise<{ value: Secret; secretId: SecretId }>
  find(role: Role, value: Secret, reader: Reader): Promise<KeptSecretId | undefined>
  byAccessor(role: Role, accessor: string, reader: Reader): Promise<KeptSecretId | undefined>
  accessors(role: Role): Promise<string[]>
  /** Takes one use; the last takes the secret id along. */
  spend(tx: Tx, role: Role, kept: KeptSecretId, now: Date): Promise<void>
  remove(tx: Tx, role: Role, kept: KeptSecretId): Promise<void>
  removeAll(tx: Tx, role: Role): Promise<void>
  /** Removes those whose time has passed; returns how many. */
  tidy(tx: Tx, role: Role, now: Date): Promise<number>
}

export function createSecretIds(barrier: Barrier, mountId: string): SecretIds {
  const folderOf = ({ uid }: Role): string => `auth/${mountId}/secret-id/${uid}/`
  const accessorFolderOf = ({ uid }: Role): string => `auth/${mountId}/accessor/${uid}/`
  const keyOf = (role: Role, value: Secret): string =>
    barrier.digest('secret id', `${role.uid}\0${value.reveal()}`).toString('hex')
  const save = (tx: Tx, role: Role, key: string, secretId: SecretId): Promise<void> =>
    barrier.put(tx, folderOf(role) + key, JSON.stringify(secretId))

  async function byKey(role: Role, key: string, reader: Reader): Promise<KeptSecretId | undefined> {
    const bytes = await barrier.get(folderOf(role) + key, reader)
    return bytes && { key, secretId: JSON.parse(bytes.toString('utf8')) as SecretId }
  }
  async function byAccessor(role: Role, accessor: string, reader: Reader): Promise<KeptSecretId | undefined> {
    const key = await barrier.get(accessorFolderOf(role) + accessor, reader)
    return key && byKey(role, key.toString('utf8'), reader)
  }
  async function remove(tx: Tx, role: Role, { key, secretId }: KeptSecretId): Promise<void> {
    await barrier.delete(tx, folderOf(role) + key)
    await barrier.delete(tx, accessorFolderOf(role) + secretId.accessor)
  }

  return {
    async create(tx, role, body, now, custom) {
      const value = custom ?? new Secret(randomUUID())
      const key = keyOf(role, value)
      if (await byKey(role, key, tx)) throw new AppError('request.invalid', 'SecretID is already registered')
      const secretId = secretIdFrom(body, role, now.getTime())
      await save(tx, role, key, secretId)
      await barrier.put(tx, accessorFolderOf(role) + secretId.accessor, key)
      return { value, secretId }
    },
    find: (role, value, reader) => byKey(role, keyOf(role, value), reader),
    byAccessor,
    accessors: (role) => barrier.list(accessorFolderOf(role)),
    async spend(tx, role, kept, now) {
      const { usesLeft } = kept.secretId
      if (usesLeft === null) return
      if (usesLeft <= 1) return remove(tx, role, kept)
      await save(tx, role, kept.key, { ...kept.secretId, usesLeft: usesLeft - 1, updatedAt: now.getTime() })
    },
    remove,
    async removeAll(tx, role) {
      await barrier.deleteFolder(tx, folderOf(role))
      await barrier.deleteFolder(tx, accessorFolderOf(role))
    },
    async tidy(tx, role, now) {
      let count = 0
      for (const accessor of await barrier.list(accessorFolderOf(role), tx)) {
        const kept = await byAccessor(role, accessor, tx)
        if (!kept || isCurrent(kept.secretId, now)) continue
        await remove(tx, role, kept)
        count++
      }
      return count
    },
  }
}

export const isCurrent = ({ expiresAt }: SecretId, now: Date): boolean =>
  expiresAt === null || expiresAt > now.getTime()

function secretIdFrom(body: Body, role: Role, now: number): SecretId {
  if (!role.bindSecretId) throw new AppError('request.invalid', 'bind_secret_id is not set on the role')
  const cidrs = checkedCidrs(listField(body, 'cidr_list') ?? [], 'cidr_list')
  const tokenCidrs = checkedCidrs(listField(body, 'token_bound_cidrs') ?? [], 'token_bound_cidrs')
  assertSubset(cidrs, role.secretIdCidrs, 'cidr_list', 'secret_id_bound_cidrs')
  assertSubset(tokenCidrs, role.terms.boundCidrs, 'token_bound_cidrs', 'token_bound_cidrs')
  const uses = noLonger(
    countField(body, 'num_uses'),
    role.secretIdUses,
    "num_uses cannot be higher than the role's secret_id_num_uses",
  )
  const ttlSeconds = noLonger(
    durationField(body, 'ttl'),
    role.secretIdTtlSeconds,
    "ttl cannot be longer than the role's secret_id_ttl",
  )
  return {
    accessor: randomUUID(),
    metadata: metadataFrom(body),
    cidrs,
    tokenCidrs,
    usesLeft: uses || null,
    ttlSeconds,
    createdAt: now,
    updatedAt: now,
    expiresAt: ttlSeconds > 0 ? now + ttlSeconds * 1000 : null,
  }
}

/** What is asked, else what the role says; asking for more than the role allows is refused. 0 is without limit. */
function noLonger(asked: number | undefined, ofRole: number, refusal: string): number {
  if (asked === undefined) return ofRole
  if (ofRole > 0 && (asked === 0 || asked > ofRole)) throw new AppError('request.invalid', refusal)
  return asked
}

function assertSubset(
  cidrs: readonly string[],
  outer: readonly string[],
  field: string,
  roleField: string,
): void {
  const outside = outsideOf(cidrs, outer)
  if (outside !== undefined)
    throw new AppError(
      'request.invalid',
      `"${outside}" in ${field} is not a subset of the CIDR blocks of the role's ${roleField}`,
    )
}

/** JSON text, as the documentation has it, or an object, as clients send it too. */
function metadataFrom(body: Body): Record<string, string> {
  if (isObject(body['metadata'])) return textMapField(body, 'metadata') ?? {}
  const text = textField(body, 'metadata')
  if (!text) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = undefined
  }
  if (!isObject(parsed))
    throw new AppError(
      'request.invalid',
      'failed to parse metadata: it must be a JSON object of text, for example {"team":"shop"}',
    )
  return textMapField({ metadata: parsed }, 'metadata') ?? {}
}

export function secretIdView(secretId: SecretId): Record<string, unknown> {
  const time = (milliseconds: number): string => new Date(milliseconds).toISOString()
  return {
    cidr_list: secretId.cidrs,
    creation_time: time(secretId.createdAt),
    expiration_time: secretId.expiresAt === null ? '0001-01-01T00:00:00Z' : time(secretId.expiresAt),
    last_updated_time: time(secretId.updatedAt),
    metadata: secretId.metadata,
    secret_id_accessor: secretId.accessor,
    secret_id_num_uses: secretId.usesLeft ?? 0,
    secret_id_ttl: secretId.ttlSeconds,
    token_bound_cidrs: secretId.tokenCidrs,
  }
}
