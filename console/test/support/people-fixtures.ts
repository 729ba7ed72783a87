import { randomBytes } from 'node:crypto'
import type { PersonView } from '@keyward/contract'
import type { Handlers } from './console-server.ts'
import { ago } from './made-up.ts'

const owner: PersonView = {
  id: 'per_01',
  name: 'owner',
  roles: ['owner'],
  groups: [],
  disabled: false,
  createdAt: ago(9000),
}

/** The first is who looks at the page. */
export const people: PersonView[] = [
  owner,
  { ...owner, id: 'per_02', name: 'grace', roles: ['approver', 'operator'], groups: ['release', 'on-call'] },
  { ...owner, id: 'per_03', name: 'edsger', roles: ['auditor'], disabled: true },
]

export const peopleHandlers = (): Handlers => ({
  'people.list': () => ({ items: people, next: null }),
  'people.create': ({ name, roles, groups }) => ({
    person: { ...owner, id: 'per_04', name, roles, groups },
    code: `made+up-${randomBytes(12).toString('hex')}`,
  }),
  'people.link': () => ({ code: `made+up-${randomBytes(12).toString('hex')}` }),
  'people.disable': () => ({ ...people[1], disabled: true }),
  'people.roles': ({ roles }) => ({ ...people[1], roles }),
  'people.groups': ({ groups }) => ({ ...people[1], groups }),
})
