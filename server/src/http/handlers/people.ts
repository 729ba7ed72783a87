import { peopleApi } from '@keyward/contract'
import { AppError, type Secret } from '../../core/index.ts'
import { type Identity, type Person, personView } from '../../identity/index.ts'
import type { Store } from '../../store/index.ts'
import { type Resource, type Route, route } from '../route.ts'

export type PeopleIdentity = Pick<
  Identity,
  'people' | 'person' | 'createPerson' | 'createSignInCode' | 'disablePerson' | 'setRoles' | 'setGroups'
>
type Needs = { store: Pick<Store, 'write'>; identity: PeopleIdentity }

const accountOf = ({ personId }: { personId: string }): Resource => ({ type: 'Account', id: personId })

export function peopleRoutes({ store, identity }: Needs): Route[] {
  const changed = async (change: Promise<Person>) => personView(await change)
  return [
    route(peopleApi.list, async (query) => {
      const { items, next } = await identity.people(query)
      return { items: items.map(personView), next }
    }),
    route(peopleApi.create, ({ name, roles, groups }, { principal: by }) =>
      store.write(async (tx) => {
        const person = await identity.createPerson(tx, { name, roles, groups, by })
        return { person: personView(person), ...shown(await identity.createSignInCode(tx, person.id, by)) }
      }),
    ),
    route(
      peopleApi.link,
      ({ personId }, { principal: by }) =>
        store.write(async (tx) => {
          if (!(await identity.person(personId, tx)))
            throw new AppError('person.not_found', `no account has the id ${personId}`)
          return shown(await identity.createSignInCode(tx, personId, by))
        }),
      accountOf,
    ),
    route(
      peopleApi.disable,
      ({ personId, reason }, { principal: by }) =>
        changed(store.write((tx) => identity.disablePerson(tx, personId, by, reason))),
      accountOf,
    ),
    route(
      peopleApi.roles,
      ({ personId, roles }, { principal: by }) =>
        changed(store.write((tx) => identity.setRoles(tx, personId, roles, by))),
      accountOf,
    ),
    route(
      peopleApi.groups,
      ({ personId, groups }, { principal: by }) =>
        changed(store.write((tx) => identity.setGroups(tx, personId, groups, by))),
      accountOf,
    ),
  ]
}

const shown = (code: Secret): { code: string } => ({ code: code.reveal() })
