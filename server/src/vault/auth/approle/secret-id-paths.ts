import { AppError, Secret } from '../../../core/index.ts'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec } from '../../engine.ts'
import { listed } from '../../engines/kv2.ts'
import { textField } from '../../fields.ts'
import { type Role, roleNameFrom } from './role.ts'
import { existingRole, type RoleStore } from './role-store.ts'
import { isCurrent, type KeptSecretId, type SecretIds, secretIdView } from './secret-ids.ts'

/** Making, looking up and ending secret ids, by themselves and by their accessor. */
export function secretIdPaths(roles: RoleStore, secretIds: SecretIds): PathSpec[] {
  async function create(tx: Tx, call: Call, custom?: Secret): Promise<Answer> {
    const role = await existingRole(roles, tx, call)
    const { value, secretId } = await secretIds.create(tx, role, call.body, call.now, custom)
    return {
      data: {
        secret_id: value.reveal(),
        secret_id_accessor: secretId.accessor,
        secret_id_num_uses: secretId.usesLeft ?? 0,
        secret_id_ttl: secretId.ttlSeconds,
      },
      note: { accessor: secretId.accessor },
    }
  }

  async function byValue(tx: Tx, call: Call): Promise<{ role: Role; kept: KeptSecretId | undefined }> {
    const role = await existingRole(roles, tx, call)
    return { role, kept: await secretIds.find(role, new Secret(givenText(call, 'secret_id')), tx) }
  }

  async function byAccessor(
    tx: Tx,
    call: Call,
  ): Promise<{ role: Role; accessor: string; kept: KeptSecretId | undefined }> {
    const role = await existingRole(roles, tx, call)
    const accessor = givenText(call, 'secret_id_accessor')
    const kept = await secretIds.byAccessor(role, accessor, tx)
    return { role, accessor, kept }
  }

  /** Nothing there is no failure: what was asked for holds already. */
  async function end(
    tx: Tx,
    { role, kept }: { role: Role; kept: KeptSecretId | undefined },
  ): Promise<Answer> {
    if (!kept) return {}
    await secretIds.remove(tx, role, kept)
    return { note: { accessor: kept.secretId.accessor } }
  }

  async function endByAccessor(tx: Tx, call: Call): Promise<Answer> {
    const found = await byAccessor(tx, call)
    if (!found.kept) throw new AppError('request.not_found', noEntry(found.accessor))
    return end(tx, found)
  }

  return [
    {
      pattern: 'role/{role}/secret-id',
      update: (tx, call) => create(tx, call),
      async list({ params }) {
        const role = await roles.read(roleNameFrom(params))
        if (!role)
          throw new AppError('request.invalid', `role ${JSON.stringify(params['role'])} does not exist`)
        return listed(await secretIds.accessors(role))
      },
    },
    {
      pattern: 'role/{role}/custom-secret-id',
      update(tx, call) {
        const value = textField(call.body, 'secret_id')
        if (!value) throw new AppError('request.invalid', 'missing secret_id')
        return create(tx, call, new Secret(value))
      },
    },
    {
      pattern: 'role/{role}/secret-id/lookup',
      async update(tx, call) {
        const { kept } = await byValue(tx, call)
        return kept && isCurrent(kept.secretId, call.now) ? { data: secretIdView(kept.secretId) } : {}
      },
    },
    {
      pattern: 'role/{role}/secret-id/destroy',
      update: async (tx, call) => end(tx, await byValue(tx, call)),
      delete: async (tx, call) => end(tx, await byValue(tx, call)),
    },
    {
      pattern: 'role/{role}/secret-id-accessor/lookup',
      async update(tx, call) {
        const { kept, accessor } = await byAccessor(tx, call)
        // In Vault's shape of it, which Terraform's provider reads.
        return kept
          ? { data: secretIdView(kept.secretId) }
          : { status: 404, data: { error: noEntry(accessor) } }
      },
    },
    {
      pattern: 'role/{role}/secret-id-accessor/destroy',
      update: endByAccessor,
      delete: endByAccessor,
    },
  ]
}

const noEntry = (accessor: string): string =>
  `failed to find accessor entry for secret_id_accessor: ${JSON.stringify(accessor)}`

/** Text of a body; with DELETE, which has none in some clients, of the query. */
const givenText = ({ body, query }: Pick<Call, 'body' | 'query'>, name: string): string => {
  const value = textField(body, name) ?? query[name]
  if (!value) throw new AppError('request.invalid', `missing ${name}`)
  return value
}
