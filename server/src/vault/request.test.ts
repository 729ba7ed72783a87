import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { authOf } from '../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'

async function setup(t: TestContext) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  await root('POST', 'secret/data/a', { data: { key: 'made-up' } })
  const last = async () => {
    const { items } = await world.audit.page({ limit: 1, order: 'desc' })
    return [items[0]?.outcome, items[0]?.target, items[0]?.detail]
  }
  return { ...world, root, last, anybody: callerOf(world.vault) }
}

test('VAULT-2: a HEAD is answered by health alone; elsewhere it needs what reading needs, and nothing is read', async (t) => {
  const { root, anybody, last, vault } = await setup(t)
  assert.equal((await anybody('HEAD', 'sys/health')).status, 200)
  assert.equal((await root('HEAD', 'secret/data/a')).status, 405)
  assert.deepEqual(await last(), ['failed', 'secret:secret/a', { operation: 'read' }])
  assert.equal((await root('HEAD', 'sys/mounts')).status, 405)
  assert.equal((await root('HEAD', 'nowhere/a')).status, 404)
  assert.equal((await anybody('HEAD', 'secret/data/a')).status, 403)
  const none = authOf(await root('POST', 'auth/token/create', { policies: ['none'] }))
  assert.equal((await callerOf(vault, String(none['client_token']))('HEAD', 'secret/data/a')).status, 403)
  // Neither where anybody is answered, nor where somebody would sign in by coming back.
  await root('POST', 'sys/auth/oidc', { type: 'oidc' })
  for (const path of ['sys/internal/ui/mounts', 'auth/oidc/oidc/callback'])
    assert.equal((await anybody('HEAD', path)).status, 405, path)
})

test('GOV-1: what a path does not do is recorded as not done, for every method', async (t) => {
  const { root, last } = await setup(t)
  for (const [method, operation] of [
    ['GET', 'read'],
    ['LIST', 'list'],
    ['POST', 'update'],
    ['DELETE', 'delete'],
    ['PATCH', 'patch'],
  ] as const) {
    const path = method === 'GET' || method === 'LIST' ? 'sys/capabilities' : 'sys/mounts'
    assert.equal((await root(method, path, {})).status, 405, method)
    const slash = method === 'LIST' ? '/' : ''
    assert.deepEqual(await last(), ['failed', `path:${path}${slash}`, { operation }])
  }
})

test('VAULT-2: what is not known at a path is named where there is an answer', async (t) => {
  const { root, anybody } = await setup(t)
  const warned = async (...request: Parameters<typeof root>): Promise<unknown> =>
    (await root(...request)).body['warnings'] ?? null
  const ignored = (names: string) => [`Endpoint ignored these unrecognized parameters: [${names}]`]
  const data = { data: { key: 'made-up' } }
  assert.deepEqual(await warned('POST', 'secret/data/a', { ...data, zeal: 1, cas: 3 }), ignored('cas zeal'))
  assert.deepEqual(await warned('POST', 'secret/data/a', { ...data, options: {} }), null)
  assert.deepEqual(await warned('GET', 'secret/data/a?versions=1'), ignored('versions'))
  assert.deepEqual(await warned('GET', 'secret/data/a?version=1'), null)
  assert.deepEqual(await warned('POST', 'auth/token/create', { policy: ['a'], ttl: '1h' }), ignored('policy'))
  // A refusal says only why, and a secret without versions has fields of any name.
  assert.equal((await anybody('GET', 'secret/data/a?versions=1')).status, 403)
  await root('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } })
  assert.equal((await root('POST', 'old/a', { anything: 1 })).status, 204)
})
