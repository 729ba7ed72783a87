import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { dataOf } from '../../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../../test/support/vault-server.ts'

async function setup(t: TestContext) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  const from = (remoteAddress: string) => async (path: string) =>
    (await root('GET', path, undefined, { remoteAddress })).status
  return { ...world, root, here: from('192.0.2.1'), there: from('192.0.2.2') }
}

test('VAULT-2: who asks too often is refused until there is room again, and others are not', async (t) => {
  const { root, here, there, clock } = await setup(t)
  const limit = { path: 'secret/', rate: 2, interval: '10s' }
  assert.equal((await root('POST', 'sys/quotas/rate-limit/shop', limit)).status, 204)
  assert.deepEqual([await here('secret/config'), await here('secret/config')], [200, 200])
  const refused = await root('GET', 'secret/config', undefined, { remoteAddress: '192.0.2.1' })
  assert.equal(refused.status, 429)
  assert.deepEqual(refused.body, { errors: ['request path "secret/config": rate limit quota exceeded'] })
  assert.equal(await there('secret/config'), 200)
  assert.equal(await here('sys/mounts'), 200)
  clock.advance(5000)
  assert.deepEqual([await here('secret/config'), await here('secret/config')], [200, 429])
})

test('VAULT-2: the limit with the longest path counts; blocking, counting together and exemptions', async (t) => {
  const { root, here, there, clock } = await setup(t)
  await root('POST', 'sys/quotas/rate-limit/all', { rate: 100 })
  const shared = { path: 'secret/data/a*', rate: 1, interval: 1, block_interval: '1m', group_by: 'none' }
  await root('POST', 'sys/quotas/rate-limit/few', shared)
  assert.deepEqual(
    [await here('secret/data/abc'), await there('secret/data/a'), await here('secret/data/b')],
    [404, 429, 404],
  )
  clock.advance(30_000)
  assert.equal(await here('secret/data/a'), 429)
  clock.advance(31_000)
  assert.equal(await here('secret/data/a'), 404)
  assert.equal(await here('secret/data/a'), 429)
  await root('POST', 'sys/quotas/config', { rate_limit_exempt_paths: ['/v1/secret/data/a'] })
  assert.equal(await here('secret/data/a'), 404)
})

test('VAULT-2: limits are listed, read, removed, and there again after the vault was opened anew', async (t) => {
  const { root, vault } = await setup(t)
  assert.equal((await root('LIST', 'sys/quotas/rate-limit')).status, 404)
  await root('POST', 'sys/quotas/rate-limit/shop', { path: 'secret', rate: '2.5', interval: '1m' })
  assert.deepEqual(dataOf(await root('LIST', 'sys/quotas/rate-limit')), { keys: ['shop'] })
  const view = dataOf(await root('GET', 'sys/quotas/rate-limit/shop'))
  assert.deepEqual(
    [view['path'], view['rate'], view['interval'], view['type']],
    ['secret', 2.5, 60, 'rate-limit'],
  )
  await vault.seal({ kind: 'person', id: 'p', name: 'p', roles: ['owner'] })
  await vault.openAtStart()
  assert.equal((await root('GET', 'sys/quotas/rate-limit/shop')).status, 200)
  assert.equal((await root('DELETE', 'sys/quotas/rate-limit/shop')).status, 204)
  assert.equal((await root('GET', 'sys/quotas/rate-limit/shop')).status, 404)
})

test('VAULT-2: limits that make no sense are refused', async (t) => {
  const { root } = await setup(t)
  await root('POST', 'sys/quotas/rate-limit/all', { rate: 1000 })
  for (const body of [
    {},
    { rate: 0 },
    { rate: 'x' },
    { rate: -1 },
    { rate: 1, path: 'nowhere/' },
    { rate: 1, path: 'secret', role: 'x' },
    { rate: 1, path: 'secret', group_by: 'entity_then_ip' },
    { rate: 1 },
  ])
    assert.equal((await root('POST', 'sys/quotas/rate-limit/x', body)).status, 400, JSON.stringify(body))
  const headers = { enable_rate_limit_response_headers: true }
  assert.equal((await root('POST', 'sys/quotas/config', headers)).status, 400)
})
