// VAULT-2: searching the vault: what is found, what policy keeps back, and where a search ends.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'
import { type Principal, silentLog, systemClock } from '../core/index.ts'
import { createPolicy } from '../policy/index.ts'
import { mountApi } from './api.ts'
import { secretVersionRoutes } from './handlers/secret-versions.ts'
import { secretRoutes } from './handlers/secrets.ts'

const auditor: Principal = { kind: 'person', id: 'psn_1', name: 'auditor', roles: ['auditor'] }
const noPayroll = `@id("no-payroll")
forbid (principal, action == Action::"secrets.read", resource is Secret)
when { resource has path && resource.path like "secret/payroll/*" };`

async function serve(t: TestContext, custom = '') {
  const { vault, audit, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  const policy = createPolicy({ clock: systemClock })
  if (custom) policy.prepare([policy.compile({ name: 'custom', text: custom })])()
  const app = Fastify()
  const routes = [...secretVersionRoutes({ vault, audit, policy }), ...secretRoutes({ vault, audit, policy })]
  const authenticate = async () => auditor
  mountApi(app, routes, {
    authenticate,
    policy,
    audit,
    circumstances: async () => ({}),
    log: silentLog,
    secure: false,
  })
  t.after(() => app.close())
  const list = async (path: string): Promise<string[]> => {
    const url = `/api/v1/secrets?path=${encodeURIComponent(path)}`
    const reply = await app.inject({ method: 'GET', url, headers: { authorization: 'Bearer x' } })
    return reply.json().items.map((item: { path: string }) => item.path)
  }
  const search = async (words: string, limit = 50) => {
    const url = `/api/v1/secrets/search?words=${encodeURIComponent(words)}&limit=${limit}`
    const reply = await app.inject({ method: 'GET', url, headers: { authorization: 'Bearer x' } })
    const { items, complete, looked } = reply.json()
    return { paths: items?.map(({ path }: { path: string }) => path), complete, looked }
  }
  const ask = async (method: 'GET' | 'POST', path: string, payload?: Record<string, unknown>) => {
    const reply = await app.inject({
      method,
      url: `/api/v1/secrets/${path}`,
      headers: { authorization: 'Bearer x', 'x-keyward-client': 'test' },
      ...(payload ? { payload } : {}),
    })
    return { status: reply.statusCode, body: reply.json() }
  }
  return { root, search, list, routes, ask }
}

test('VAULT-2: every word must be in the path, in whichever mount and case; folders are no answer', async (t) => {
  const { root, search } = await serve(t)
  await root('POST', 'sys/mounts/team', { type: 'kv', options: { version: '2' } })
  for (const path of ['secret/data/shop/Stripe', 'secret/data/shop/smtp', 'team/data/a/b/stripe-test'])
    await root('POST', path, { data: { key: 'made-up' } })
  assert.deepEqual((await search('stripe')).paths, ['secret/shop/Stripe', 'team/a/b/stripe-test'])
  assert.deepEqual((await search('STRIPE shop')).paths, ['secret/shop/Stripe'])
  assert.deepEqual((await search('made-up')).paths, [])
  assert.deepEqual(await search('shop smtp'), { paths: ['secret/shop/smtp'], complete: true, looked: 6 })
})

test('POL-1: neither a search nor a list tells a name that policy keeps back', async (t) => {
  const { root, search, list } = await serve(t, noPayroll)
  for (const path of ['payroll/bank', 'shop/bank'])
    await root('POST', `secret/data/${path}`, { data: { key: 'made-up' } })
  assert.deepEqual((await search('bank')).paths, ['secret/shop/bank'])
  assert.deepEqual(await list('secret/shop'), ['secret/shop/bank'])
  assert.deepEqual(await list('secret/payroll'), [])
  assert.deepEqual(await list(''), ['secret/'])
})

test('VAULT-2: a search ends at its limit and says so; when nobody waits any more it ends at once', async (t) => {
  const { root, search, routes } = await serve(t)
  for (let i = 0; i < 12; i++) await root('POST', `secret/data/folder-${i}/x`, { data: { key: 'made-up' } })
  const some = await search('x', 3)
  assert.deepEqual([some.paths.length, some.complete], [3, false])
  const route = routes.find(({ operation }) => operation.name === 'secrets.search')
  let asked = 0
  const isGone = (): boolean => ++asked > 2
  const call = {
    principal: auditor,
    requestId: '',
    token: '',
    setCookie: () => undefined,
    isGone,
    channel: 'api' as const,
  }
  const left = await route?.handle({ words: 'x', limit: 50 } as never, call)
  assert.deepEqual(left, {
    items: [{ name: 'x', path: 'secret/folder-0/x', folder: false }],
    complete: false,
    looked: 13,
  })
})

test('VAULT-2: secrets without versions are found, listed and read; what is about versions is refused in words', async (t) => {
  const { root, search, list, ask } = await serve(t)
  await root('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } })
  await root('POST', 'old/shop/stripe', { key: 'made-up', count: 3 })
  assert.deepEqual(await list(''), ['old/', 'secret/'])
  assert.deepEqual([await list('old'), await list('old/shop/')], [['old/shop/'], ['old/shop/stripe']])
  assert.deepEqual((await search('stripe')).paths, ['old/shop/stripe'])
  assert.deepEqual((await ask('GET', 'detail?path=old/shop/stripe')).body, {
    path: 'old/shop/stripe',
    version: null,
    createdAt: null,
    fields: ['count', 'key'],
    references: ['keyward://old/shop/stripe#count', 'keyward://old/shop/stripe#key'],
  })
  assert.equal((await ask('GET', 'detail?path=old/shop/none')).status, 404)
  assert.equal((await ask('GET', 'detail?path=old/shop/')).status, 400)
  const history = await ask('GET', 'history?path=old/shop/stripe')
  assert.equal(history.status, 400)
  assert.match(JSON.stringify(history.body), /old\/ is KV version 1, which keeps no versions/)
})
