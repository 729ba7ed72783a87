import { randomBytes } from 'node:crypto'
import type { FactorView, PersonView } from '@keyward/contract'
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

export const factors: FactorView[] = [
  { id: 'fac_1', kind: 'totp', name: 'My phone', createdAt: ago(9000), lastUsedAt: ago(30) },
  { id: 'fac_2', kind: 'key', name: 'Blue key', createdAt: ago(9000), lastUsedAt: null },
]

const bytes = (length: number): string => randomBytes(length).toString('base64url')
const recoveryCodes = Array.from({ length: 8 }, () => randomBytes(5).toString('hex'))

export const factorHandlers = (): Handlers => ({
  'second_factors.list': () => ({ items: factors, recoveryCodesLeft: 8 }),
  'second_factors.add_totp': ({ name }) => ({
    factorId: 'fac_3',
    // One grey point.
    qr: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
    secret: 'MADEUPMADEUPMADEUPMADEUPMADEUP22',
    url: `otpauth://totp/Keyward:owner?secret=MADEUPMADEUPMADEUPMADEUPMADEUP22&issuer=${name}`,
  }),
  'second_factors.finish_totp': () => ({ factor: factors[0], recoveryCodes }),
  'second_factors.add_key': () => ({
    factorId: 'fac_4',
    challenge: bytes(32),
    rpId: 'localhost',
    userId: bytes(16),
    userName: 'owner',
    algorithms: [-7, -257],
    exclude: [],
  }),
  'second_factors.finish_key': () => ({ factor: factors[1], recoveryCodes: null }),
  'second_factors.challenge': () => ({ challenge: bytes(32), rpId: 'localhost', credentials: [] }),
  'second_factors.confirm': () => ({ kind: 'totp', freshUntil: ago(-5) }),
  'second_factors.remove': () => factors[0],
  'second_factors.recovery_codes': () => ({ recoveryCodes }),
})
