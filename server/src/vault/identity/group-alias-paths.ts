import { AppError } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Answer, Call, PathSpec } from '../engine.ts'
import { textField } from '../fields.ts'
import { listedWith } from './fields.ts'
import type { IdentityParts } from './identity.ts'
import { type Alias, type Group, newAlias, newGroup } from './records.ts'
import { aliasInfo, aliasView } from './views.ts'

/** `identity/group-alias`: under which name an auth method knows an external group. */
export function groupAliasPaths(parts: IdentityParts): PathSpec[] {
  const { groups, mountOf, changed } = parts
  return [
    { pattern: 'group-alias', update: (tx, call) => writeAlias(parts, tx, call) },
    { pattern: 'group-alias/id', list: () => listAliases(parts) },
    {
      pattern: 'group-alias/id/{id}',
      exists: async ({ params }, reader) =>
        (await groups.byAliasId(params['id'] ?? '', reader)) !== undefined,
      async read({ params }) {
        const group = await groups.byAliasId(params['id'] ?? '')
        return group?.alias ? { data: aliasView(mountOf, group.id, group.alias) } : undefined
      },
      update: (tx, call) => writeAlias(parts, tx, call),
      async delete(tx, { params }) {
        const group = await groups.byAliasId(params['id'] ?? '', tx)
        if (!group) return {}
        // Nobody says any more who is in it.
        await groups.save(tx, { ...group, alias: null, memberEntityIds: [] })
        changed(tx)
        return { note: { group: group.id } }
      },
    },
  ]
}

async function listAliases({ groups, mountOf }: IdentityParts): Promise<Answer | undefined> {
  const all = await Promise.all((await groups.ids()).map((id) => groups.read(id)))
  const items = all.flatMap((group) =>
    group?.alias
      ? [
          {
            key: group.alias.id,
            id: group.alias.id,
            info: { ...aliasInfo(mountOf, group.alias), canonical_id: group.id },
          },
        ]
      : [],
  )
  return listedWith(items)
}

async function writeAlias(parts: IdentityParts, tx: Tx, call: Call): Promise<Answer> {
  const { groups, changed } = parts
  const { body, params } = call
  const id = params['id'] ?? (textField(body, 'id') || undefined)
  const name = textField(body, 'name')
  if (!name) throw new AppError('request.invalid', 'missing alias name')
  const mountAccessor = textField(body, 'mount_accessor')
  if (!mountAccessor) throw new AppError('request.invalid', 'missing mount_accessor')
  if (!parts.mountOf(mountAccessor))
    throw new AppError('request.invalid', `invalid mount accessor "${mountAccessor}"`)
  const holder = id === undefined ? undefined : await groups.byAliasId(id, tx)
  if (id !== undefined && !holder?.alias) throw new AppError('request.invalid', 'invalid group alias ID')
  const owner = await groups.byAliasName(mountAccessor, name, tx)
  if (owner?.alias && owner.alias.id !== holder?.alias?.id)
    throw new AppError('request.invalid', 'combination of mount and group alias name is already in use')

  const now = call.now.getTime()
  const start = holder?.alias ?? newAlias({ name, mountAccessor, customMetadata: null, now })
  const alias: Alias = { ...start, name, mountAccessor, updatedAt: now }
  const group = await homeOf(parts, tx, textField(body, 'canonical_id') || undefined, holder, now)
  if (holder && holder.id !== group.id) await groups.save(tx, { ...holder, alias: null, memberEntityIds: [] })
  await groups.save(tx, { ...group, alias, modifyIndex: group.modifyIndex + 1, updatedAt: now })
  changed(tx)
  return { data: { id: alias.id, canonical_id: group.id }, note: { alias: alias.id, group: group.id } }
}

/** The group that is named, else the one that has the alias, else a new one. */
async function homeOf(
  { groups }: IdentityParts,
  tx: Tx,
  canonicalId: string | undefined,
  holder: Group | undefined,
  now: number,
): Promise<Group> {
  if (canonicalId === undefined) return holder ?? newGroup('external', now)
  const group = await groups.read(canonicalId, tx)
  if (!group) throw new AppError('request.invalid', "invalid group ID given in 'canonical_id'")
  if (group.type !== 'external')
    throw new AppError('request.invalid', "alias can't be set on an internal group")
  return group
}
