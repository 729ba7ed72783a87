import { AppError } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Answer, Call, PathSpec } from '../engine.ts'
import { booleanField, listField, textField } from '../fields.ts'
import { listedWith, metadataField, nameField, policiesField } from './fields.ts'
import type { IdentityParts } from './identity.ts'
import { type Entity, newEntity, without } from './records.ts'
import { aliasInfo, entityView } from './views.ts'

/** `identity/entity`: by id, by name, all of them. */
export function entityPaths(parts: IdentityParts): PathSpec[] {
  const { entities } = parts
  const byId = ({ params }: Call, reader?: Reader) => entities.read(params['id'] ?? '', reader)
  const byName = ({ params }: Call, reader?: Reader) => entities.byName(params['name'] ?? '', reader)
  const one = (pattern: string, find: typeof byId): PathSpec => ({
    pattern,
    exists: async (call, reader) => (await find(call, reader)) !== undefined,
    async read(call) {
      const entity = await find(call)
      return entity && { data: await entityView(parts, entity) }
    },
    update: (tx, call) => writeEntity(parts, tx, call),
    async delete(tx, call) {
      const entity = await find(call, tx)
      if (entity) await removeEntity(parts, tx, entity)
      return { note: { entity: entity?.id ?? null } }
    },
  })
  return [
    { pattern: 'entity', update: (tx, call) => writeEntity(parts, tx, call) },
    { pattern: 'entity/id', list: () => listEntities(parts, 'id') },
    one('entity/id/{id}', byId),
    { pattern: 'entity/name', list: () => listEntities(parts, 'name') },
    one('entity/name/{name...}', byName),
    {
      pattern: 'entity/batch-delete',
      async update(tx, { body }) {
        const ids = listField(body, 'entity_ids') ?? []
        if (ids.length === 0) throw new AppError('request.invalid', 'missing entity ids to delete')
        for (const id of ids) {
          const entity = await entities.read(id, tx)
          if (entity?.id === id) await removeEntity(parts, tx, entity)
        }
        return { note: { entities: ids } }
      },
    },
  ]
}

async function listEntities({ entities, mountOf }: IdentityParts, by: 'id' | 'name') {
  const all = await Promise.all((await entities.ids()).map((id) => entities.read(id)))
  const items = all
    .filter((entity) => entity !== undefined)
    .map(({ id, name, aliases }) => ({
      key: by === 'id' ? id : name,
      id,
      info: {
        name,
        ...(aliases.length > 0 ? { aliases: aliases.map((alias) => aliasInfo(mountOf, alias)) } : {}),
      },
    }))
  return listedWith(items)
}

/** The entity that a request means: by its id, else by its name, else a new one. */
async function meant({ entities }: IdentityParts, tx: Tx, call: Call): Promise<Entity | undefined> {
  const id = call.params['id'] ?? textField(call.body, 'id')
  const name = nameField(call.body, call.params)
  const byName = name === undefined ? undefined : await entities.byName(name, tx)
  if (!id) return byName
  const entity = await entities.read(id, tx)
  if (!entity) throw new AppError('request.invalid', 'entity not found from id')
  if (byName && byName.id !== entity.id)
    throw new AppError('request.invalid', 'entity name is already in use')
  return entity
}

async function writeEntity(parts: IdentityParts, tx: Tx, call: Call): Promise<Answer> {
  const { body, now } = call
  const before = await meant(parts, tx, call)
  const start = before ?? newEntity({ now: now.getTime() })
  const entity: Entity = {
    ...start,
    name: nameField(body, call.params) ?? start.name,
    policies: policiesField(body) ?? start.policies,
    metadata: metadataField(body, 'metadata') ?? start.metadata,
    disabled: booleanField(body, 'disabled') ?? start.disabled,
    updatedAt: now.getTime(),
  }
  await parts.entities.save(tx, entity)
  if (before) parts.changed(tx, entity.id)
  const note = { entity: entity.id, policies: [...entity.policies], disabled: entity.disabled }
  return before ? { note } : { data: { id: entity.id, name: entity.name, aliases: null }, note }
}

export async function removeEntity(parts: IdentityParts, tx: Tx, entity: Entity): Promise<void> {
  const { entities, groups, changed } = parts
  for (const groupId of await groups.idsOf(entity.id, tx)) {
    const group = await groups.read(groupId, tx)
    if (group) await groups.save(tx, { ...group, memberEntityIds: without(group.memberEntityIds, entity.id) })
  }
  await entities.remove(tx, entity)
  changed(tx)
}
