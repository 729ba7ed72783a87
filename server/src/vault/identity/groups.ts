import { AppError } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { type Group, withItem, without } from './records.ts'

/** Groups in the barrier, found by id, name, alias and member. */
export type Groups = {
  /** Without a reader what is committed, from memory when it was seen lately. Nobody may change what comes back. */
  read(id: string, reader?: Reader): Promise<Group | undefined>
  byName(name: string, reader?: Reader): Promise<Group | undefined>
  byAliasId(aliasId: string, reader?: Reader): Promise<Group | undefined>
  byAliasName(mountAccessor: string, name: string, reader?: Reader): Promise<Group | undefined>
  ids(reader?: Reader): Promise<string[]>
  /** Ids of the groups that an entity is itself in. */
  idsOf(entityId: string, reader?: Reader): Promise<readonly string[]>
  /** Those it is in, and those above them. */
  of(entityId: string, reader?: Reader): Promise<{ direct: Group[]; inherited: Group[] }>
  /** Stores it and tells its members; refuses members that are above it. */
  save(tx: Tx, group: Group): Promise<void>
  remove(tx: Tx, group: Group): Promise<void>
}

const folder = 'identity/group/'
const parse = (bytes: Buffer): Group => JSON.parse(bytes.toString('utf8')) as Group
const parseText = (bytes: Buffer): string => bytes.toString('utf8')
const parseIds = (bytes: Buffer): readonly string[] => JSON.parse(bytes.toString('utf8')) as string[]

export function createGroups(barrier: Pick<Barrier, 'view' | 'put' | 'delete' | 'list'>): Groups {
  const read = (id: string, reader?: Reader): Promise<Group | undefined> =>
    barrier.view(folder + id, parse, reader)
  const put = (tx: Tx, group: Group): Promise<void> =>
    barrier.put(tx, folder + group.id, JSON.stringify(group))

  async function at(place: string, reader?: Reader): Promise<Group | undefined> {
    const id = await barrier.view(place, parseText, reader)
    return id === undefined ? undefined : read(id, reader)
  }

  const idsOf = async (entityId: string, reader?: Reader): Promise<readonly string[]> =>
    (await barrier.view(membershipsAt(entityId), parseIds, reader)) ?? []

  async function setIdsOf(tx: Tx, entityId: string, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await barrier.put(tx, membershipsAt(entityId), JSON.stringify(ids), 'hidden')
    else await barrier.delete(tx, membershipsAt(entityId))
  }

  async function existing(ids: readonly string[], reader?: Reader): Promise<Group[]> {
    const found = await Promise.all(ids.map((id) => read(id, reader)))
    return found.filter((group) => group !== undefined)
  }

  /** All above the given groups, each once. */
  async function above(start: readonly Group[], reader?: Reader): Promise<Group[]> {
    const seen = new Set(start.map(({ id }) => id))
    const found = [...start]
    for (const group of found)
      for (const parent of await existing(
        group.parentGroupIds.filter((id) => !seen.has(id)),
        reader,
      )) {
        seen.add(parent.id)
        found.push(parent)
      }
    return found.slice(start.length)
  }

  async function assertNoCycle(tx: Tx, group: Group): Promise<void> {
    const higher = new Set([group.id, ...(await above([group], tx)).map(({ id }) => id)])
    const wrong = group.memberGroupIds.find((id) => higher.has(id))
    if (wrong !== undefined)
      throw new AppError(
        'request.invalid',
        `cycle detected while adding the group ${wrong} to the group ${group.id}`,
      )
  }

  async function tellEntities(tx: Tx, group: Group, before: readonly string[]): Promise<void> {
    for (const id of before.filter((known) => !group.memberEntityIds.includes(known)))
      await setIdsOf(tx, id, without(await idsOf(id, tx), group.id))
    for (const id of group.memberEntityIds.filter((member) => !before.includes(member)))
      await setIdsOf(tx, id, withItem(await idsOf(id, tx), group.id))
  }

  async function tellGroups(tx: Tx, group: Group, before: readonly string[]): Promise<void> {
    const gone = before.filter((known) => !group.memberGroupIds.includes(known))
    for (const member of await existing(gone, tx))
      await put(tx, { ...member, parentGroupIds: without(member.parentGroupIds, group.id) })
    const added = group.memberGroupIds.filter((id) => !before.includes(id))
    for (const member of await existing(added, tx))
      await put(tx, { ...member, parentGroupIds: withItem(member.parentGroupIds, group.id) })
  }

  async function tell(tx: Tx, group: Group, before: Group | undefined): Promise<void> {
    await tellEntities(tx, group, before?.memberEntityIds ?? [])
    await tellGroups(tx, group, before?.memberGroupIds ?? [])
  }

  return {
    read,
    byName: (name, reader) => at(nameAt(name), reader),
    byAliasId: (aliasId, reader) => at(aliasAt(aliasId), reader),
    byAliasName: (mountAccessor, name, reader) => at(aliasNameAt(mountAccessor, name), reader),
    ids: (reader) => barrier.list(folder, reader),
    idsOf,
    async of(entityId, reader) {
      const direct = await existing(await idsOf(entityId, reader), reader)
      return { direct, inherited: await above(direct, reader) }
    },
    async save(tx, group) {
      await assertNoCycle(tx, group)
      const before = await read(group.id, tx)
      const places = placesOf(group)
      const known = new Set(before ? placesOf(before) : [])
      for (const place of places) if (!known.delete(place)) await barrier.put(tx, place, group.id, 'hidden')
      for (const place of known)
        if ((await barrier.view(place, parseText, tx)) === group.id) await barrier.delete(tx, place)
      await put(tx, group)
      await tell(tx, group, before)
    },
    async remove(tx, group) {
      for (const parent of await existing(group.parentGroupIds, tx))
        await put(tx, { ...parent, memberGroupIds: without(parent.memberGroupIds, group.id) })
      await tell(tx, { ...group, memberEntityIds: [], memberGroupIds: [] }, group)
      for (const place of placesOf(group)) await barrier.delete(tx, place)
      await barrier.delete(tx, folder + group.id)
    },
  }
}

const membershipsAt = (entityId: string): string => `identity/groups-of/${entityId}`
const nameAt = (name: string): string => `identity/group-name/${name.toLowerCase()}`
const aliasAt = (aliasId: string): string => `identity/group-alias/${aliasId}`
const aliasNameAt = (mountAccessor: string, name: string): string =>
  `identity/group-alias-name/${mountAccessor}/${name}`

const placesOf = ({ name, alias }: Group): string[] => [
  nameAt(name),
  ...(alias ? [aliasAt(alias.id), aliasNameAt(alias.mountAccessor, alias.name)] : []),
]
