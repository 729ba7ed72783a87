import type { EventName, Json, PersonView } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal, type Role, systemPrincipal } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Needs } from './identity.ts'
import {
  activePeople,
  countActivePeople,
  disablePersonRow,
  firstPerson,
  insertPerson,
  type PersonRow,
  peopleBefore,
  personById,
  setPersonRow,
} from './identity-store.ts'

export type Person = {
  readonly id: string
  readonly name: string
  readonly roles: readonly Role[]
  readonly groups: readonly string[]
  readonly disabled: boolean
  readonly createdAt: Date
}

export const personOf = (row: PersonRow): Person => ({
  id: row.id,
  name: row.name,
  roles: JSON.parse(row.roles) as Role[],
  groups: JSON.parse(row.group_names) as string[],
  disabled: row.disabled_at !== null,
  createdAt: new Date(row.created_at),
})

export const personView = ({ roles, groups, createdAt, ...same }: Person): PersonView => ({
  ...same,
  roles: [...roles],
  groups: [...groups],
  createdAt: createdAt.toISOString(),
})

/** Throws when the person is unknown or disabled: neither can sign in. */
export async function requirePerson(reader: Reader, id: string): Promise<Person> {
  const row = await personById(reader, id)
  if (row && row.disabled_at === null) return personOf(row)
  throw new AppError('session.required', `The account ${id} does not exist or is disabled.`)
}

export function createPeople({ store, audit, bus, clock }: Needs) {
  async function tell(tx: Tx, type: EventName, id: string, by: Principal, detail: Record<string, Json>) {
    const target = `person:${id}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target })
  }

  async function found(reader: Reader, id: string): Promise<Person> {
    const row = await personById(reader, id)
    if (row) return personOf(row)
    throw new AppError('person.not_found', `No account has the id ${id}; \`keyward people list\` shows them.`)
  }

  /** Nobody else could make an owner again. */
  async function keepAnOwner(tx: Tx, without: string): Promise<void> {
    const others = (await activePeople(tx)).map(personOf).filter(({ id }) => id !== without)
    if (others.some(({ roles }) => roles.includes('owner'))) return
    throw new AppError('person.last_owner', `${without} is the only owner; make another account one first.`)
  }

  async function create(
    tx: Tx,
    {
      name,
      roles,
      groups = [],
      by,
    }: { name: string; roles: readonly Role[]; groups?: readonly string[]; by: Principal },
  ) {
    const now = clock.now()
    const row = {
      id: newId('psn', now),
      name,
      roles: JSON.stringify(roles),
      group_names: JSON.stringify(groups),
      disabled_at: null,
      created_at: now.getTime(),
    }
    if (!(await insertPerson(tx, row))) {
      throw new AppError('request.conflict', `An account named ${name} exists already.`)
    }
    await tell(tx, 'person.created', row.id, by, { name, roles: [...roles], groups: [...groups] })
    return personOf(row)
  }

  return {
    create,
    async bootstrapOwner(tx: Tx): Promise<Person> {
      const first = await firstPerson(tx)
      if (first) return personOf(first)
      return create(tx, { name: 'owner', roles: ['owner'], by: systemPrincipal('bootstrap') })
    },
    count: (reader: Reader = store): Promise<number> => countActivePeople(reader),
    async read(id: string, reader: Reader = store): Promise<Person | undefined> {
      const row = await personById(reader, id)
      return row && personOf(row)
    },
    async page({ cursor, limit }: { cursor?: string | undefined; limit: number }) {
      const rows = await peopleBefore(store, cursor, limit + 1)
      const items = rows.slice(0, limit).map(personOf)
      return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
    },
    async setRoles(tx: Tx, id: string, roles: readonly Role[], by: Principal): Promise<Person> {
      const before = await found(tx, id)
      if (!roles.includes('owner')) await keepAnOwner(tx, id)
      await setPersonRow(tx, id, { roles: JSON.stringify(roles) })
      await tell(tx, 'person.roles_changed', id, by, { before: [...before.roles], roles: [...roles] })
      return { ...before, roles }
    },
    async setGroups(tx: Tx, id: string, groups: readonly string[], by: Principal): Promise<Person> {
      const before = await found(tx, id)
      await setPersonRow(tx, id, { groups: JSON.stringify(groups) })
      await tell(tx, 'person.groups_changed', id, by, { before: [...before.groups], groups: [...groups] })
      return { ...before, groups }
    },
    async disable(tx: Tx, id: string, by: Principal, reason: string): Promise<Person> {
      const before = await found(tx, id)
      await keepAnOwner(tx, id)
      if (!before.disabled) {
        await disablePersonRow(tx, id, clock.now().getTime())
        await tell(tx, 'person.disabled', id, by, { reason })
      }
      return { ...before, disabled: true }
    },
  }
}
