import { AppError, type Clock } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Engine } from '../engine.ts'
import type { Mount } from '../mounts.ts'
import { foldingCase } from '../spelling.ts'
import { aliasPaths } from './alias-paths.ts'
import { createEntities, type Entities } from './entities.ts'
import { entityPaths } from './entity-paths.ts'
import { groupAliasPaths } from './group-alias-paths.ts'
import { groupPaths } from './group-paths.ts'
import { createGroups, type Groups } from './groups.ts'
import { lookupPaths } from './lookup-paths.ts'
import { mergePath } from './merge.ts'
import { keyPaths } from './oidc/key-paths.ts'
import { tokenPaths } from './oidc/token-paths.ts'
import { createTokenSettings } from './oidc/token-settings.ts'
import {
  type Alias,
  type Entity,
  type Group,
  newAlias,
  newEntity,
  type Subject,
  sameTexts,
  withItem,
  without,
} from './records.ts'

/** Who an auth method says has signed in. */
export type Arrival = {
  readonly mountAccessor: string
  /** Its name for them, which stays the same from one login to the next. */
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
  /** Names of the groups it says they are in; undefined: it says nothing about groups. */
  readonly groups?: readonly string[] | undefined
}

/** Who is behind the tokens: one entity for everybody, however they sign in, and groups of them. */
export type Identity = {
  engine: Engine
  /**
   * The entity of somebody who signs in, made when it is the first time. Refuses one that is disabled. Who is known already is
   * found in memory; what another transaction changes about them meanwhile counts as soon as the token is used.
   */
  enter(tx: Tx, arrival: Arrival): Promise<Subject>
  /** What counts of an entity now; undefined when it is gone or disabled. */
  subjectOf(entityId: string): Promise<Subject | undefined>
  countEntities(): Promise<number>
  /** Called after each change, with the entity when it concerns one alone. */
  onChange(call: (entityId?: string) => void): void
}

/** What the paths of the engine share. */
export type IdentityParts = {
  readonly entities: Entities
  readonly groups: Groups
  readonly mountOf: (accessor: string) => Mount | undefined
  /** To be called in each transaction that changes something which tokens depend on. */
  readonly changed: (tx: Tx, entityId?: string) => void
}

type Needs = {
  barrier: Barrier
  clock: Pick<Clock, 'now'>
  mounts: () => readonly Mount[]
}

export function createIdentity({ barrier, clock, mounts }: Needs): Identity {
  const entities = createEntities(barrier)
  const groups = createGroups(barrier)
  const listeners: ((entityId?: string) => void)[] = []
  const changed = (tx: Tx, entityId?: string): void =>
    tx.afterCommit(() => {
      for (const call of listeners) call(entityId)
    })
  const mountOf = (accessor: string): Mount | undefined =>
    mounts().find((mount) => mount.accessor === accessor)
  const parts: IdentityParts = { entities, groups, mountOf, changed }

  /** Found, made or brought up to date in the transaction. */
  async function entityOf(tx: Tx, arrival: Arrival): Promise<Entity> {
    const now = clock.now().getTime()
    const stored = await entities.byAliasName(arrival.mountAccessor, arrival.name, tx)
    if (!stored) {
      const entity = newEntity({ now, aliases: [aliasFor(arrival, now)] })
      await entities.save(tx, entity)
      return entity
    }
    if (isCurrent(stored, arrival)) return stored
    const alias = aliasIn(stored, arrival)
    const entity = {
      ...stored,
      aliases: stored.aliases.map((other) =>
        other === alias ? { ...alias, metadata: arrival.metadata, updatedAt: now } : other,
      ),
    }
    await entities.save(tx, entity)
    changed(tx, entity.id)
    return entity
  }

  /** The external groups of the mount that it is in, and those that the mount names now. */
  async function groupsBySaying(
    entityId: string,
    { mountAccessor, groups: named = [] }: Arrival,
    reader?: Reader,
  ): Promise<{ current: Group[]; wanted: Group[] }> {
    const ids = await groups.idsOf(entityId, reader)
    const current = await Promise.all(ids.map((id) => groups.read(id, reader)))
    const wanted = await Promise.all(named.map((name) => groups.byAliasName(mountAccessor, name, reader)))
    return {
      current: current.filter((group) => group?.alias?.mountAccessor === mountAccessor).filter(isThere),
      wanted: wanted.filter(isThere),
    }
  }

  /** Joins and leaves the external groups of the mount; returns whether there was anything to do. */
  async function followGroups(tx: Tx, { id }: Entity, arrival: Arrival): Promise<boolean> {
    const seen = await groupsBySaying(id, arrival)
    if (sameIds(seen.current, seen.wanted)) return false
    const { current, wanted } = await groupsBySaying(id, arrival, tx)
    const wantedIds = new Set(wanted.map((group) => group.id))
    const currentIds = new Set(current.map((group) => group.id))
    for (const group of current.filter((each) => !wantedIds.has(each.id)))
      await groups.save(tx, { ...group, memberEntityIds: without(group.memberEntityIds, id) })
    for (const group of wanted.filter((each) => !currentIds.has(each.id)))
      await groups.save(tx, { ...group, memberEntityIds: withItem(group.memberEntityIds, id) })
    changed(tx, id)
    return true
  }

  async function subjectFor(entity: Entity, reader?: Reader): Promise<Subject> {
    const { direct, inherited } = await groups.of(entity.id, reader)
    const all = [...direct, ...inherited]
    const policies = [...new Set([...entity.policies, ...all.flatMap((group) => group.policies)])].sort()
    return { entity, groups: all, policies }
  }

  const tokenSettings = createTokenSettings(barrier)
  async function isActive(entityId: string): Promise<boolean> {
    const entity = await entities.read(entityId)
    return entity !== undefined && !entity.disabled
  }

  return {
    engine: {
      type: 'identity',
      paths: [
        ...foldingCase(entityPaths(parts)),
        mergePath(parts),
        ...aliasPaths(parts),
        ...foldingCase(groupPaths(parts)),
        ...groupAliasPaths(parts),
        ...lookupPaths(parts),
        ...keyPaths(tokenSettings),
        ...tokenPaths({ settings: tokenSettings, isActive }),
      ],
      async wipe() {
        throw new AppError('request.invalid', 'the identity mount is always there')
      },
    },
    async enter(tx, arrival) {
      const known = await entities.byAliasName(arrival.mountAccessor, arrival.name)
      const entity = known && isCurrent(known, arrival) ? known : await entityOf(tx, arrival)
      if (entity.disabled) throw new AppError('policy.denied')
      const moved = arrival.groups ? await followGroups(tx, entity, arrival) : false
      // From memory, unless this transaction itself has changed something.
      return subjectFor(entity, moved || entity !== known ? tx : undefined)
    },
    async subjectOf(entityId) {
      const entity = await entities.read(entityId)
      return entity && !entity.disabled ? subjectFor(entity) : undefined
    },
    countEntities: async () => (await entities.ids()).length,
    onChange: (call) => void listeners.push(call),
  }
}

const aliasIn = ({ aliases }: Entity, { mountAccessor, name }: Arrival): Alias | undefined =>
  aliases.find(
    (alias) => alias.mountAccessor === mountAccessor && alias.name.toLowerCase() === name.toLowerCase(),
  )

function isCurrent(entity: Entity, arrival: Arrival): boolean {
  return sameTexts(aliasIn(entity, arrival)?.metadata ?? null, arrival.metadata)
}

const aliasFor = ({ mountAccessor, name, metadata }: Arrival, now: number): Alias => ({
  ...newAlias({ name, mountAccessor, customMetadata: null, now }),
  metadata,
})

const isThere = <T>(item: T | undefined): item is T => item !== undefined

const sameIds = (a: readonly Group[], b: readonly Group[]): boolean =>
  a.length === b.length && a.every(({ id }) => b.some((other) => other.id === id))
