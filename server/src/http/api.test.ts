import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Operation } from '@keyward/contract'
import Fastify, { type FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { EntryInput } from '../audit/index.ts'
import { type Principal, Secret, silentLog, systemClock } from '../core/index.ts'
import { createPolicy } from '../policy/index.ts'
import { mountApi } from './api.ts'
import { secretRoutes } from './handlers/secrets.ts'
import { type Route, route } from './route.ts'

const operator: Principal = { kind: 'person', id: 'psn_1', name: 'op', roles: ['operator'] }

function serve(
  t: TestContext,
  make: (audit: { recordNow: (entry: EntryInput) => Promise<void> }) => Route[],
  custom = '',
): { app: FastifyInstance; entries: EntryInput[] } {
  const policy = createPolicy({ clock: systemClock })
  if (custom) policy.prepare([policy.compile({ name: 'custom', text: custom })])()
  const entries: EntryInput[] = []
  const audit = { recordNow: async (entry: EntryInput) => void entries.push(entry) }
  const app = Fastify()
  mountApi(app, make(audit), {
    authenticate: async () => operator,
    policy,
    audit,
    circumstances: async () => ({}),
    log: silentLog,
    secure: false,
  })
  t.after(() => app.close())
  return { app, entries }
}

const ask = (app: FastifyInstance, url: string, payload: object) =>
  app.inject({ method: 'POST', url: `/api/v1${url}`, headers: { authorization: 'Bearer x' }, payload })

/** Every secret has the one field `value`, which is its path. */
const kv = {
  read: async (path: string) => ({
    version: 1,
    createdAt: new Date(0),
    data: { value: new Secret(`value of ${path}`) },
  }),
} as unknown as Parameters<typeof secretRoutes>[0]['vault']['kv']

const noProduction = `@id("no-production")
forbid (principal, action == Action::"secrets.resolve", resource is Secret)
when { resource has path && resource.path like "secret/production/*" };`

test('POL-1: a rule about a path holds for each secret that is resolved, and one refusal gives out nothing', async (t) => {
  const { app, entries } = serve(
    t,
    (audit) => secretRoutes({ vault: { kv }, audit, policy: createPolicy({ clock: systemClock }) }),
    noProduction,
  )
  const allowed = 'keyward://secret/staging/db#value'
  const refused = 'keyward://secret/production/db#value'
  const purpose = 'a test'
  const fine = await ask(app, '/secrets/resolve', { references: [allowed], purpose })
  assert.deepEqual(fine.json(), { values: { [allowed]: 'value of secret/staging/db' } })
  entries.length = 0
  const mixed = await ask(app, '/secrets/resolve', { references: [allowed, refused], purpose })
  assert.equal(mixed.statusCode, 403)
  assert.deepEqual(
    entries.map(({ type, target }) => `${type} ${target}`),
    ['operation.refused Secret:secret/production/db'],
  )
})

test('VAULT-9: what every object has is no field of a secret', async (t) => {
  const { app, entries } = serve(t, (audit) =>
    secretRoutes({ vault: { kv }, audit, policy: createPolicy({ clock: systemClock }) }),
  )
  for (const field of ['constructor', '__proto__', 'toString']) {
    const references = [`keyward://secret/staging/db#${field}`]
    const answer = await ask(app, '/secrets/resolve', { references, purpose: 'a test' })
    assert.equal(answer.statusCode, 404, field)
  }
  assert.deepEqual(entries, [])
})

test('OPS-4: a field of the body is not taken from the URL, nor the other way round', async (t) => {
  const echo = {
    name: 'session.exchange',
    method: 'POST',
    path: '/echo/{id}',
    summary: 'For this test',
    access: 'public',
    params: { id: z.string() },
    query: { page: z.string().optional() },
    body: { code: z.string() },
    result: z.record(z.string(), z.string().optional()),
    fails: [],
  } as const satisfies Operation
  const { app } = serve(t, () => [route(echo, async (input) => ({ ...input }))])
  assert.deepEqual((await ask(app, '/echo/1?page=2', { code: 'c' })).json(), {
    code: 'c',
    page: '2',
    id: '1',
  })
  for (const [url, payload] of [
    ['/echo/1?code=c', {}],
    ['/echo/1?code=other', { code: 'c' }],
    ['/echo/1', { code: 'c', page: '2' }],
    ['/echo/1', { code: 'c', id: '2' }],
    ['/echo/1?id=2', { code: 'c' }],
  ] as const)
    assert.equal((await ask(app, url, payload)).statusCode, 400, `${url} ${JSON.stringify(payload)}`)
})

test('OPS-4: the words of an unexpected error never reach the caller', async (t) => {
  const broken = {
    name: 'session.read',
    method: 'POST',
    path: '/broken',
    summary: 'For this test',
    access: 'public',
    params: {},
    query: {},
    body: {},
    result: z.null(),
    fails: [],
  } as const satisfies Operation
  const { app } = serve(t, () => [route(broken, async () => JSON.parse('hunter2'))])
  const answer = await ask(app, '/broken', {})
  assert.equal(answer.statusCode, 500)
  assert.doesNotMatch(answer.body, /hunter2/)
  const malformed = await app.inject({
    method: 'POST',
    url: '/api/v1/broken',
    headers: { 'content-type': 'application/json' },
    payload: '{"__proto__": 1}',
  })
  assert.equal(malformed.statusCode, 400)
})
