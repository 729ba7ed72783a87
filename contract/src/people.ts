import { z } from 'zod'
import { operation, page, paging, timestamp } from './operation.ts'
import { role } from './session.ts'

/** Who is asked together: named in a rule or a plan's task, and given to people. */
export const groupName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
const groups = z.array(groupName).max(50)

export const personView = z.object({
  id: z.string(),
  name: z.string(),
  roles: z.array(role),
  groups,
  disabled: z.boolean(),
  createdAt: timestamp,
})
export type PersonView = z.output<typeof personView>

/** Signs its person in once, within ten minutes. It belongs into the fragment of a link, never into a path or query. */
const signInCode = z.string()
const personId = { personId: z.string() }
const roles = z.array(role).min(1).max(4)
const reason = z.string().trim().min(3).max(500)

export const peopleApi = {
  list: operation({
    name: 'people.list',
    method: 'GET',
    path: '/people',
    summary: 'Accounts of people, newest first',
    query: paging,
    result: page(personView),
  }),
  create: operation({
    name: 'people.create',
    method: 'POST',
    path: '/people',
    summary: 'Make an account; its one-time sign-in code is shown once',
    body: {
      name: z.string().regex(/^[a-z0-9][a-z0-9._@-]{0,99}$/),
      roles,
      groups: groups.default([]),
    },
    result: z.object({ person: personView, code: signInCode }),
    fails: ['request.conflict'],
  }),
  link: operation({
    name: 'people.link',
    method: 'POST',
    path: '/people/{personId}/link',
    summary: 'A new one-time sign-in code for somebody who cannot sign in any more',
    params: personId,
    result: z.object({ code: signInCode }),
    fails: ['person.not_found'],
  }),
  disable: operation({
    name: 'people.disable',
    method: 'POST',
    path: '/people/{personId}/disable',
    summary: 'Close an account: its sessions end and its answers no longer count',
    params: personId,
    body: { reason },
    result: personView,
    fails: ['person.not_found', 'person.last_owner'],
  }),
  roles: operation({
    name: 'people.roles',
    method: 'PUT',
    path: '/people/{personId}/roles',
    summary: 'Set what somebody may do',
    params: personId,
    body: { roles },
    result: personView,
    fails: ['person.not_found', 'person.last_owner'],
  }),
  groups: operation({
    name: 'people.groups',
    method: 'PUT',
    path: '/people/{personId}/groups',
    summary: 'Set with whom somebody is asked',
    params: personId,
    body: { groups },
    result: personView,
    fails: ['person.not_found'],
  }),
}
