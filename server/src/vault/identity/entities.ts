import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Entity } from './records.ts'

/** Entities in the barrier, found by id, name, alias and by the ids of those that were merged into them. */
export type Entities = {
  /** Without a reader what is committed, from memory when it was seen lately. Nobody may change what comes back. */
  read(id: string, reader?: Reader): Promise<Entity | undefined>
  byName(name: string, reader?: Reader): Promise<Entity | undefined>
  byAliasId(aliasId: string, reader?: Reader): Promise<Entity | undefined>
  byAliasName(mountAccessor: string, name: string, reader?: Reader): Promise<Entity | undefined>
  ids(reader?: Reader): Promise<string[]>
  save(tx: Tx, entity: Entity): Promise<void>
  remove(tx: Tx, entity: Entity): Promise<void>
}

const folder = 'identity/entity/'
const parse = (bytes: Buffer): Entity => JSON.parse(bytes.toString('utf8')) as Entity
const parseText = (bytes: Buffer): string => bytes.toString('utf8')

export function createEntities(barrier: Pick<Barrier, 'view' | 'put' | 'delete' | 'list'>): Entities {
  const stored = (id: string, reader?: Reader): Promise<Entity | undefined> =>
    barrier.view(folder + id, parse, reader)

  async function at(place: string, reader?: Reader): Promise<Entity | undefined> {
    const id = await barrier.view(place, parseText, reader)
    return id === undefined ? undefined : stored(id, reader)
  }

  return {
    async read(id, reader) {
      return (await stored(id, reader)) ?? at(mergedAt(id), reader)
    },
    byName: (name, reader) => at(nameAt(name), reader),
    byAliasId: (aliasId, reader) => at(aliasAt(aliasId), reader),
    byAliasName: (mountAccessor, name, reader) => at(aliasNameAt(mountAccessor, name), reader),
    ids: (reader) => barrier.list(folder, reader),
    async save(tx, entity) {
      const before = await stored(entity.id, tx)
      const places = placesOf(entity)
      const known = new Set(before ? placesOf(before) : [])
      for (const place of places) if (!known.delete(place)) await barrier.put(tx, place, entity.id, 'hidden')
      // What another entity took over meanwhile is its own now.
      for (const place of known)
        if ((await barrier.view(place, parseText, tx)) === entity.id) await barrier.delete(tx, place)
      await barrier.put(tx, folder + entity.id, JSON.stringify(entity))
    },
    async remove(tx, entity) {
      for (const place of placesOf(entity)) await barrier.delete(tx, place)
      await barrier.delete(tx, folder + entity.id)
    },
  }
}

// Names are the same in upper and lower case, as in Vault.
const nameAt = (name: string): string => `identity/entity-name/${name.toLowerCase()}`
const aliasAt = (aliasId: string): string => `identity/entity-alias/${aliasId}`
const aliasNameAt = (mountAccessor: string, name: string): string =>
  `identity/entity-alias-name/${mountAccessor}/${name.toLowerCase()}`
const mergedAt = (id: string): string => `identity/entity-merged/${id}`

const placesOf = ({ name, aliases, merged }: Entity): string[] => [
  nameAt(name),
  ...aliases.flatMap((alias) => [aliasAt(alias.id), aliasNameAt(alias.mountAccessor, alias.name)]),
  ...merged.map(mergedAt),
]
