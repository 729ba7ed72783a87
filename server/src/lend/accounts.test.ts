import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entries, give, lent as lentAt, openLendWorld } from '../../test/support/lend-world.ts'
import type { Claim } from './lend.ts'

const postgres = {
  kind: 'postgres',
  databases: ['shop'],
  tls: 'verify',
  usernameField: 'username',
  cleartext: false,
} as const

const destinations = [{ host: 'db.example.com', port: 5432 }]

async function lent(
  world: Parameters<typeof lentAt>[0],
  lease: Parameters<typeof lentAt>[1],
  grant: Parameters<typeof lentAt>[2],
) {
  const { claim } = await lentAt(world, { destinations, ...lease }, { destinations, ...grant })
  return { claim: { ...claim, host: 'db.example.com', port: 5432 } }
}

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
  const { claim } = await lent(world, {}, {})
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

test('LEND-2: a place of the web is refused for what signs in to a database or to SSH', async (t) => {
  const world = await openLendWorld(t)
  const at = { host: 'db.example.com', port: 5432 }
  const kinds = [{ ...postgres, databases: ['shop'] }, { kind: 'redis', tls: 'none' } as const]
  const ssh = { kind: 'ssh' as const, users: ['git'], hostKeys: [`ssh-ed25519 ${'A'.repeat(68)}`] }
  for (const injection of [...kinds, ssh]) {
    for (const more of [{ methods: ['GET' as const] }, { pathPrefix: '/v1' }, { pathPattern: '/v1/*' }])
      await assert.rejects(give(world, { injection, destinations: [{ ...at, ...more }] }), {
        code: 'request.invalid',
        detail: /has no methods or paths/,
      })
    await give(world, { injection, destinations: [at] })
  }
  for (const injection of kinds)
    await assert.rejects(give(world, { injection, destinations: [{ ...at, port: 443 }] }), {
      code: 'request.invalid',
      detail: /Name the port of/,
    })
  await give(world, { injection: ssh, destinations: [{ ...at, port: 443 }] })
})
