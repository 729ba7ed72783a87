import { AppError } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Answer, Call, PathSpec } from '../engine.ts'
import { listField, textField } from '../fields.ts'
import { removeEntity } from './entity-paths.ts'
import type { IdentityParts } from './identity.ts'
import { type Alias, type Entity, withItem } from './records.ts'

/** `identity/entity/merge`: several entities turn out to be one. Tokens of those that go are tokens of the one that stays. */
export function mergePath(parts: IdentityParts): PathSpec {
  return { pattern: 'entity/merge', update: (tx, call) => mergeEntities(parts, tx, call) }
}

async function mergeEntities(parts: IdentityParts, tx: Tx, { body, now }: Call): Promise<Answer> {
  const toId = textField(body, 'to_entity_id')
  if (!toId) throw new AppError('request.invalid', 'missing entity id to merge to')
  const fromIds = [...new Set(listField(body, 'from_entity_ids') ?? [])]
  if (fromIds.length === 0) throw new AppError('request.invalid', 'missing entity ids to merge from')
  const keep = listField(body, 'conflicting_alias_ids_to_keep') ?? []
  if (fromIds.length > 1 && keep.length > 1)
    throw new AppError(
      'request.invalid',
      'aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time',
    )
  const into = await parts.entities.read(toId, tx)
  if (!into || into.id !== toId) throw new AppError('request.invalid', 'entity id to merge to is invalid')
  let merged: Entity = { ...into, updatedAt: now.getTime() }
  for (const id of fromIds) merged = await absorb(parts, tx, merged, await source(parts, tx, into, id), keep)
  await parts.entities.save(tx, merged)
  parts.changed(tx)
  return { note: { entity: merged.id, merged: fromIds } }
}

async function source({ entities }: IdentityParts, tx: Tx, into: Entity, id: string): Promise<Entity> {
  if (id === into.id)
    throw new AppError('request.invalid', 'to_entity_id should not be present in from_entity_ids')
  const from = await entities.read(id, tx)
  if (!from || from.id !== id) throw new AppError('request.invalid', 'entity id to merge from is invalid')
  return from
}

/** The aliases, groups and tokens of `from` become those of `into`; its policies and metadata do not. */
async function absorb(
  parts: IdentityParts,
  tx: Tx,
  into: Entity,
  from: Entity,
  keep: readonly string[],
): Promise<Entity> {
  const aliases = withoutConflicts(into, from, keep)
  const groupIds = await parts.groups.idsOf(from.id, tx)
  await removeEntity(parts, tx, from)
  for (const id of groupIds) {
    const group = await parts.groups.read(id, tx)
    if (group)
      await parts.groups.save(tx, { ...group, memberEntityIds: withItem(group.memberEntityIds, into.id) })
  }
  return { ...into, aliases, merged: [...into.merged, from.id, ...from.merged] }
}

/** An entity has one alias of a mount. Where both have one, the caller says which of them stays. */
function withoutConflicts(into: Entity, from: Entity, keep: readonly string[]): Alias[] {
  const taken = from.aliases.map((alias) => ({ ...alias, mergedFrom: [...alias.mergedFrom, from.id] }))
  const clashing = (alias: Alias, others: readonly Alias[]): Alias | undefined =>
    others.find(({ mountAccessor }) => mountAccessor === alias.mountAccessor)
  for (const alias of taken) {
    const other = clashing(alias, into.aliases)
    if (other && !keep.includes(other.id) && !keep.includes(alias.id))
      throw new AppError(
        'request.invalid',
        'toEntity and at least one fromEntity have aliases with the same mount accessor, repeat the merge request specifying exactly one fromEntity, clashes: ' +
          `mountAccessor: ${alias.mountAccessor}, toEntity ID: ${into.id}, fromEntity ID: ${from.id}, ` +
          `conflicting toEntity alias ID: ${other.id}, conflicting fromEntity alias ID: ${alias.id}`,
      )
  }
  const stays = (alias: Alias, others: readonly Alias[]): boolean =>
    !clashing(alias, others) || keep.includes(alias.id)
  return [
    ...into.aliases.filter((alias) => stays(alias, taken)),
    ...taken.filter((alias) => stays(alias, into.aliases)),
  ]
}
