import type { IdentityParts } from './identity.ts'
import type { Alias, Entity, Group } from './records.ts'

type Parts = Pick<IdentityParts, 'mountOf' | 'groups'>
type View = Record<string, unknown>

const time = (milliseconds: number): string => new Date(milliseconds).toISOString()

const mountView = (mountOf: IdentityParts['mountOf'], accessor: string): View => {
  const mount = mountOf(accessor)
  return mount ? { mount_path: mount.path, mount_type: mount.type } : {}
}

/** An alias with the id of its entity or group. */
export const aliasView = (mountOf: IdentityParts['mountOf'], canonicalId: string, alias: Alias): View => ({
  id: alias.id,
  canonical_id: canonicalId,
  name: alias.name,
  mount_accessor: alias.mountAccessor,
  ...mountView(mountOf, alias.mountAccessor),
  metadata: alias.metadata,
  custom_metadata: alias.customMetadata,
  merged_from_canonical_ids: alias.mergedFrom.length > 0 ? alias.mergedFrom : null,
  local: false,
  namespace_id: 'root',
  creation_time: time(alias.createdAt),
  last_update_time: time(alias.updatedAt),
})

export async function entityView({ mountOf, groups }: Parts, entity: Entity): Promise<View> {
  const { direct, inherited } = await groups.of(entity.id)
  const [directIds, inheritedIds] = [direct.map(({ id }) => id), inherited.map(({ id }) => id)]
  return {
    id: entity.id,
    name: entity.name,
    metadata: entity.metadata,
    policies: entity.policies,
    disabled: entity.disabled,
    aliases: entity.aliases.map((alias) => aliasView(mountOf, entity.id, alias)),
    merged_entity_ids: entity.merged.length > 0 ? entity.merged : null,
    direct_group_ids: directIds,
    inherited_group_ids: inheritedIds,
    group_ids: [...directIds, ...inheritedIds],
    namespace_id: 'root',
    creation_time: time(entity.createdAt),
    last_update_time: time(entity.updatedAt),
  }
}

export const groupView = ({ mountOf }: Pick<Parts, 'mountOf'>, group: Group): View => ({
  id: group.id,
  name: group.name,
  type: group.type,
  metadata: group.metadata,
  policies: group.policies,
  member_entity_ids: group.memberEntityIds,
  member_group_ids: group.memberGroupIds.length > 0 ? group.memberGroupIds : null,
  parent_group_ids: group.parentGroupIds.length > 0 ? group.parentGroupIds : null,
  alias: group.alias ? aliasView(mountOf, group.id, group.alias) : {},
  modify_index: group.modifyIndex,
  namespace_id: 'root',
  creation_time: time(group.createdAt),
  last_update_time: time(group.updatedAt),
})

/** An alias as lists show it. */
export const aliasInfo = (mountOf: IdentityParts['mountOf'], alias: Alias): View => ({
  id: alias.id,
  name: alias.name,
  mount_accessor: alias.mountAccessor,
  ...mountView(mountOf, alias.mountAccessor),
})
