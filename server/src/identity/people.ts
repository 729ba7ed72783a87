import { AppError, actorOf, newId, type Principal, type Role, systemPrincipal } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Needs } from './identity.ts'
import {
  countActivePeople,
  disablePersonRow,
  firstPerson,
  insertPerson,
  type PersonRow,
  personById,
} from './identity-store.ts'

export type Person = {
  readonly id: string
  readonly name: string
  readonly roles: readonly Role[]
  readonly disabled: boolean
}

export const personOf = (row: PersonRow): Person => ({
  id: row.id,
  name: row.name,
  roles: JSON.parse(row.roles) as Role[],
  disabled: row.disabled_at !== null,
})

/** Throws when the person is unknown or disabled: neither can sign in. */
export async function requirePerson(reader: Reader, id: string): Promise<Person> {
  const row = await personById(reader, id)
  if (row && row.disabled_at === null) return personOf(row)
  throw new AppError('session.required', `The account ${id} does not exist or is disabled.`)
}

export function createPeople({ store, audit, bus, clock }: Needs) {
  async function create(
    tx: Tx,
    { name, roles, by }: { name: string; roles: readonly Role[]; by: Principal },
  ) {
    const now = clock.now()
    const row = {
      id: newId('psn', now),
      name,
      roles: JSON.stringify(roles),
      disabled_at: null,
      created_at: now.getTime(),
    }
    if (!(await insertPerson(tx, row))) {
      throw new AppError('request.conflict', `An account named ${name} exists already.`)
    }
    const target = `person:${row.id}`
    await audit.record(tx, {
      type: 'person.created',
      outcome: 'done',
      actor: actorOf(by),
      target,
      detail: { name, roles: [...roles] },
    })
    await bus.publish(tx, { type: 'person.created', subject: target })
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
    async disable(tx: Tx, personId: string, by: Principal): Promise<void> {
      await requirePerson(tx, personId)
      await disablePersonRow(tx, personId, clock.now().getTime())
      const target = `person:${personId}`
      await audit.record(tx, { type: 'person.disabled', outcome: 'done', actor: actorOf(by), target })
      await bus.publish(tx, { type: 'person.disabled', subject: target })
    },
  }
}
