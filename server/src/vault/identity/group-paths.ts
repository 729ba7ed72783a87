import { AppError } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Answer, Call, PathSpec } from '../engine.ts'
import { listField, textField } from '../fields.ts'
import { listedWith, metadataField, nameField, policiesField } from './fields.ts'
import type { IdentityParts } from './identity.ts'
import { type Group, type GroupType, newGroup } from './records.ts'
import { aliasInfo, groupView } from './views.ts'

/** `identity/group`: by id, by name, all of them. */
export function groupPaths(parts: IdentityParts): PathSpec[] {
  const { groups } = parts
  const byId = ({ params }: Call, reader?: Reader) => groups.read(params['id'] ?? '', reader)
  const byName = ({ params }: Call, reader?: Reader) => groups.byName(params['name'] ?? '', reader)
  const one = (pattern: string, find: typeof byId): PathSpec => ({
    pattern,
    exists: async (call, reader) => (await find(call, reader)) !== undefined,
    async read(call) {
      const group = await find(call)
      return group && { data: groupView(parts, group) }
    },
    update: (tx, call) => writeGroup(parts, tx, call),
    async delete(tx, call) {
      const group = await find(call, tx)
      if (!group) return {}
      await groups.remove(tx, group)
      parts.changed(tx)
      return { note: { group: group.id } }
    },
  })
  return [
    { pattern: 'group', update: (tx, call) => writeGroup(parts, tx, call) },
    { pattern: 'group/id', list: () => listGroups(parts, 'id') },
    one('group/id/{id}', byId),
    { pattern: 'group/name', list: () => listGroups(parts, 'name') },
    one('group/name/{name...}', byName),
  ]
}

async function listGroups({ groups, mountOf }: IdentityParts, by: 'id' | 'name') {
  const all = await Promise.all((await groups.ids()).map((id) => groups.read(id)))
  const items = all
    .filter((group) => group !== undefined)
    .map((group) => ({
      key: by === 'id' ? group.id : group.name,
      id: group.id,
      info: {
        name: group.name,
        num_member_entities: group.memberEntityIds.length,
        num_parent_groups: group.parentGroupIds.length,
        ...(group.alias ? { alias: aliasInfo(mountOf, group.alias) } : {}),
      },
    }))
  return listedWith(items)
}

/** The group that a request means: by its id, else by its name, else a new one. */
async function meant({ groups }: IdentityParts, tx: Tx, call: Call): Promise<Group | undefined> {
  const id = call.params['id'] ?? textField(call.body, 'id')
  const name = nameField(call.body, call.params)
  const byName = name === undefined ? undefined : await groups.byName(name, tx)
  if (!id) return byName
  const group = await groups.read(id, tx)
  if (!group) throw new AppError('request.invalid', 'invalid group ID')
  if (byName && byName.id !== group.id) throw new AppError('request.invalid', 'group name is already in use')
  return group
}

async function writeGroup(parts: IdentityParts, tx: Tx, call: Call): Promise<Answer> {
  const { body, now } = call
  const before = await meant(parts, tx, call)
  const type = typeFrom(textField(body, 'type'), before)
  const start = before ?? newGroup(type, now.getTime())
  const group: Group = {
    ...start,
    name: nameField(body, call.params) ?? start.name,
    policies: policiesField(body) ?? start.policies,
    metadata: metadataField(body, 'metadata') ?? start.metadata,
    ...(await membersFrom(parts, tx, call, start)),
    modifyIndex: start.modifyIndex + 1,
    updatedAt: now.getTime(),
  }
  await parts.groups.save(tx, group)
  parts.changed(tx)
  const note = { group: group.id, policies: [...group.policies], members: group.memberEntityIds.length }
  return before ? { note } : { data: { id: group.id, name: group.name }, note }
}

async function membersFrom(
  { entities, groups }: IdentityParts,
  tx: Tx,
  { body }: Call,
  { type, memberEntityIds, memberGroupIds }: Group,
): Promise<Pick<Group, 'memberEntityIds' | 'memberGroupIds'>> {
  const entityIds = listField(body, 'member_entity_ids')
  const groupIds = listField(body, 'member_group_ids')
  if (type === 'external' && entityIds)
    throw new AppError('request.invalid', "member entities can't be set manually for external groups")
  if (type === 'external' && groupIds)
    throw new AppError('request.invalid', "member groups can't be set for external groups")
  for (const id of entityIds ?? [])
    if ((await entities.read(id, tx))?.id !== id)
      throw new AppError('request.invalid', `invalid entity ID "${id}"`)
  for (const id of groupIds ?? [])
    if (!(await groups.read(id, tx))) throw new AppError('request.invalid', `invalid member group ID "${id}"`)
  return {
    memberEntityIds: entityIds ? [...new Set(entityIds)] : memberEntityIds,
    memberGroupIds: groupIds ? [...new Set(groupIds)] : memberGroupIds,
  }
}

function typeFrom(written: string | undefined, before: Group | undefined): GroupType {
  if (!written) return before?.type ?? 'internal'
  if (written !== 'internal' && written !== 'external')
    throw new AppError('request.invalid', `invalid group type "${written}"`)
  if (before && before.type !== written) throw new AppError('request.invalid', 'group type cannot be changed')
  return written
}
