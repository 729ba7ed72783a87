import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { askRedis, hasRedis, startRedis } from '../../../../../test/support/redis.ts'
import { Secret } from '../../../../core/index.ts'
import { redisKind } from './redis-database.ts'

const options = { skip: !hasRedis() && 'Redis is not installed' }

async function setup(t: TestContext) {
  const redis = await startRedis(t)
  const { username, password, port } = redis
  const details = { host: '127.0.0.1', port, username }
  const open = (more: Record<string, unknown> = {}, secret = password) =>
    redisKind.open({ id: 'a/b', details: { ...details, ...more }, password: new Secret(secret), secrets: {} })
  const named = async (): Promise<number> =>
    String(await askRedis(redis, 'CLIENT', 'LIST'))
      .split('\n')
      .filter((line) => / name=keyward-/.test(line)).length
  return { redis, open, named }
}

test(
  'VAULT-3: what an earlier process left connected is ended before anything is asked for',
  options,
  async (t) => {
    const { open, named } = await setup(t)
    // Not closed: as if its process had died, and the server did not know yet.
    const dead = await open()
    await dead.check()
    const living = await open()
    t.after(() => {
      for (const database of [dead, living]) database.close()
    })
    await living.check()
    assert.equal(await named(), 1)
    await dead.check().catch(() => undefined)
    assert.equal(await named(), 1)
  },
)

test('VAULT-3: many who ask at once share one connection', options, async (t) => {
  const { open, named } = await setup(t)
  const database = await open()
  t.after(() => database.close())
  await Promise.all(Array.from({ length: 20 }, () => database.check()))
  assert.equal(await named(), 1)
})

test('VAULT-3: an address as a URL, without the password when it is shown', options, async (t) => {
  const { redis, open } = await setup(t)
  const url = `redis://keyward:${redis.password}@127.0.0.1:${redis.port}`
  const settings = { host: '', port: '', username: '', connection_url: url }
  const database = await open(settings, '')
  t.after(() => database.close())
  await database.check()
  assert.equal(database.takesPassword, false)
  assert.equal(redisKind.view('connection_url', url), `redis://keyward:xxxxx@127.0.0.1:${redis.port}`)
  for (const connection_url of ['http://x', 'nonsense'])
    await assert.rejects(open({ ...settings, connection_url }), { code: 'request.invalid' })
  await assert.rejects(open({ connection_url: url }), /not valid/)
  await assert.rejects(open({ tls: true }), /not valid/)
  const unused = await open({ tls: true, insecure_tls: true, port: 1 })
  await assert.rejects(unused.check(), { code: 'database.unreachable' })
})
