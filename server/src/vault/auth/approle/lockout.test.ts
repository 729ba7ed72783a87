import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { dataOf, openAuth } from '../../../../test/support/vault-auth.ts'

async function setup(t: TestContext) {
  const world = await openAuth(t, 'approle')
  const { root, anybody } = world
  await root('POST', 'auth/approle/role/app', {})
  const roleId = String(dataOf(await root('GET', 'auth/approle/role/app/role-id'))['role_id'])
  const newSecretId = async (): Promise<string> =>
    String(dataOf(await root('POST', 'auth/approle/role/app/secret-id'))['secret_id'])
  const login = async (secretId: string, role = roleId): Promise<number> =>
    (await anybody('POST', 'auth/approle/login', { role_id: role, secret_id: secretId })).status
  return { ...world, roleId, newSecretId, login }
}

test('VAULT-2: approle: after five wrong secret ids the role is locked for a while, also for the right one', async (t) => {
  const { login, newSecretId, clock, roleId, audit } = await setup(t)
  const secretId = await newSecretId()
  for (let i = 0; i < 5; i++) assert.equal(await login(randomUUID()), 400)
  assert.equal(await login(secretId), 403)
  const { items } = await audit.page({ limit: 10, order: 'desc', type: 'vault.request' })
  assert.deepEqual(
    items.slice(0, 2).map(({ outcome }) => outcome),
    ['denied', 'denied'],
  )
  assert.ok(!JSON.stringify(items).includes(roleId))
  clock.advance(899_000)
  assert.equal(await login(secretId), 403)
  clock.advance(1000)
  assert.equal(await login(secretId), 200)
})

test('VAULT-2: approle: wrong secret ids that come at once are counted, and roles that do not exist are locked alike', async (t) => {
  const { login, roleId } = await setup(t)
  for (const role of [roleId, randomUUID()]) {
    const answers = await Promise.all(Array.from({ length: 8 }, () => login(randomUUID(), role)))
    assert.deepEqual(answers.sort(), [400, 400, 400, 400, 400, 403, 403, 403])
  }
})

test('VAULT-2: approle: a right secret id sets the count back, and one that is left out does not count', async (t) => {
  const { login, newSecretId, anybody, roleId } = await setup(t)
  const secretId = await newSecretId()
  for (let i = 0; i < 4; i++) await login(randomUUID())
  for (let i = 0; i < 3; i++)
    assert.equal((await anybody('POST', 'auth/approle/login', { role_id: roleId })).status, 400)
  assert.equal(await login(secretId), 200)
  for (let i = 0; i < 4; i++) await login(randomUUID())
  assert.equal(await login(secretId), 200)
})

test('VAULT-2: approle: a lock outlives sealing, is tuned, seen by its role id, and ended', async (t) => {
  const { login, newSecretId, root, vault } = await setup(t)
  const upper = `App-${randomUUID()}`
  await root('POST', 'auth/approle/role/app/role-id', { role_id: upper })
  const secretId = await newSecretId()
  const tuned = { user_lockout_config: { lockout_threshold: '2', lockout_duration: '1h' } }
  assert.equal((await root('POST', 'sys/auth/approle/tune', tuned)).status, 204)
  for (let i = 0; i < 2; i++) assert.equal(await login(randomUUID(), upper), 400)
  await root('POST', 'sys/seal')
  await vault.unsealByItself()
  assert.equal(await login(secretId, upper), 403)
  const locked = dataOf(await root('GET', 'sys/locked-users'))
  const accessor = /auth_approle_\w+/.exec(JSON.stringify(locked))?.[0]
  assert.ok(JSON.stringify(locked).includes(upper))
  assert.equal((await root('POST', `sys/locked-users/${accessor}/unlock/${upper}`)).status, 204)
  assert.equal(await login(secretId, upper), 200)
  await root('POST', 'sys/auth/approle/tune', { user_lockout_config: { lockout_disable: true } })
  for (let i = 0; i < 3; i++) assert.equal(await login(randomUUID(), upper), 400)
  assert.equal(await login(secretId, upper), 200)
})
