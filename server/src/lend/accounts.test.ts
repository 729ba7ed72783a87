import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entries, lent, openLendWorld } from '../../test/support/lend-world.ts'
import type { Claim } from './lend.ts'

const postgres = {
  kind: 'postgres',
  databases: ['shop'],
  tls: 'verify',
  usernameField: 'username',
  cleartext: false,
} as const

test('LEND-2: a password is lent for a login to its databases, as its user, and for nothing else', async (t) => {
  const world = await openLendWorld(t)
  world.vault.fields['username'] = 'reader'
  const { claim } = await lent(world, {}, { injection: { ...postgres, databases: ['shop'] } })
  const login = { kind: 'postgres', user: 'keyward', database: 'shop' } as const
  const use = (more: Partial<Claim>) => world.lend.use({ ...claim, places: ['postgres'], login, ...more })
  const used = await use({})
  assert.deepEqual([used.account, used.value.reveal()], [{ username: 'reader', mayShow: false }, world.value])
  await use({ login: { ...login, user: 'reader' } })
  await assert.rejects(use({ login: { ...login, user: 'postgres' } }), { detail: /lease is for reader/ })
  await assert.rejects(use({ login: { ...login, database: 'other' } }), {
    detail: /for shop, not for the database other/,
  })
  await assert.rejects(use({ login: { ...login, kind: 'redis' } }), { code: 'egress.denied' })
  await assert.rejects(world.lend.use({ ...claim, places: ['bearer'] }), { detail: /it was sent in bearer/ })
  await assert.rejects(world.lend.use({ ...claim, places: ['postgres'] }), {
    detail: /login that is made outside/,
  })
  assert.equal((await entries(world, 'lease.misused')).length, 4)
})

test('LEND-2: what is lent for HTTP, in any place, signs in nowhere', async (t) => {
  const world = await openLendWorld(t)
  const { claim } = await lent(world)
  const login = { kind: 'redis', user: '', database: '' } as const
  await assert.rejects(world.lend.use({ ...claim, places: ['redis'], login }), {
    detail: /something else than a login/,
  })
})

test('LEND-2: Redis without a named user signs in as its default user, and is sent the password', async (t) => {
  const world = await openLendWorld(t)
  const { claim } = await lent(world, {}, { injection: { kind: 'redis', tls: 'none' } })
  const login = { kind: 'redis', user: '', database: '' } as const
  const { account } = await world.lend.use({ ...claim, places: ['redis'], login })
  assert.deepEqual(account, { username: 'default', mayShow: true })
})

test('LEND-2: a password or a user that is gone from the vault is said to be', async (t) => {
  const world = await openLendWorld(t)
  const { claim } = await lent(world, {}, { injection: { ...postgres, databases: ['shop'] } })
  const login = { kind: 'postgres', user: '', database: 'shop' } as const
  const use = () => world.lend.use({ ...claim, places: ['postgres'], login })
  await assert.rejects(use(), { detail: /has no field username any more/ })
  world.vault.fields = { username: 'reader' }
  await assert.rejects(use(), { detail: /has no field value any more/ })
})
