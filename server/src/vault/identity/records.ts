import { randomUUID } from 'node:crypto'

type Texts = Readonly<Record<string, string>>

/** Under which name an entity or an external group is known to one auth mount. Times are milliseconds, here and below. */
export type Alias = {
  readonly id: string
  readonly name: string
  readonly mountAccessor: string
  /** What the auth method said at the last login. */
  readonly metadata: Texts | null
  readonly customMetadata: Texts | null
  readonly mergedFrom: readonly string[]
  readonly createdAt: number
  readonly updatedAt: number
}

/** Somebody or something that signs in, whichever auth method it uses. */
export type Entity = {
  readonly id: string
  readonly name: string
  readonly metadata: Texts | null
  readonly policies: readonly string[]
  /** Its tokens are refused while this is set. */
  readonly disabled: boolean
  readonly aliases: readonly Alias[]
  readonly merged: readonly string[]
  readonly createdAt: number
  readonly updatedAt: number
}

export type GroupType = 'internal' | 'external'

/** Entities and other groups that share policies. Who is in an external one is said by an auth method at each login. */
export type Group = {
  readonly id: string
  readonly name: string
  readonly type: GroupType
  readonly metadata: Texts | null
  readonly policies: readonly string[]
  readonly memberEntityIds: readonly string[]
  readonly memberGroupIds: readonly string[]
  readonly parentGroupIds: readonly string[]
  readonly alias: Alias | null
  /** How often it was written. */
  readonly modifyIndex: number
  readonly createdAt: number
  readonly updatedAt: number
}

/** What of a token's identity counts when it asks for something. */
export type Subject = {
  readonly entity: Entity
  /** Direct ones and those above them. */
  readonly groups: readonly Group[]
  /** Of the entity and its groups, sorted. */
  readonly policies: readonly string[]
}

export const without = (list: readonly string[], item: string): string[] =>
  list.filter((other) => other !== item)

export const withItem = (list: readonly string[], item: string): string[] =>
  list.includes(item) ? [...list] : [...list, item]

export const sameTexts = (a: Texts | null, b: Texts | null): boolean => {
  const [left, right] = [Object.entries(a ?? {}), b ?? {}]
  return (
    left.length === Object.keys(right).length &&
    left.every(([key, value]) => Object.hasOwn(right, key) && right[key] === value)
  )
}

export const newAlias = (given: {
  name: string
  mountAccessor: string
  customMetadata: Alias['customMetadata']
  now: number
}): Alias => ({
  id: randomUUID(),
  name: given.name,
  mountAccessor: given.mountAccessor,
  metadata: null,
  customMetadata: given.customMetadata,
  mergedFrom: [],
  createdAt: given.now,
  updatedAt: given.now,
})

export function newEntity({ now, aliases = [] }: { now: number; aliases?: readonly Alias[] }): Entity {
  const id = randomUUID()
  return {
    id,
    name: `entity_${id.slice(0, 8)}`,
    metadata: null,
    policies: [],
    disabled: false,
    aliases,
    merged: [],
    createdAt: now,
    updatedAt: now,
  }
}

export function newGroup(type: GroupType, now: number): Group {
  const id = randomUUID()
  return {
    id,
    name: `group_${id.slice(0, 8)}`,
    type,
    metadata: null,
    policies: [],
    memberEntityIds: [],
    memberGroupIds: [],
    parentGroupIds: [],
    alias: null,
    modifyIndex: 0,
    createdAt: now,
    updatedAt: now,
  }
}
