import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createTestClock, openWorld, temporaryFolder } from '../../test/support/world.ts'
import type { Principal } from '../core/index.ts'
import { sql } from '../store/index.ts'
import { createCustomPolicies, createPolicy, policyMigrations } from './index.ts'

const owner: Principal = { kind: 'person', id: 'p', name: 'ada', roles: ['owner'] }
const freeze =
  '@id("freeze") @description("No scans this week.") forbid (principal, action == Action::"scans.start", resource);'

async function setup(t: TestContext, options: Parameters<typeof openWorld>[2] = {}) {
  const world = await openWorld(t, policyMigrations, options)
  const policy = createPolicy(world)
  const custom = createCustomPolicies({ ...world, policy })
  await custom.load()
  const scans = () =>
    policy.decide({ principal: owner, action: 'scans.start', resource: { type: 'Scan', id: '*' } }).allow
  const write = (text: string, name = 'freeze.cedar', by = owner) =>
    world.store.write((tx) => custom.write(tx, { name, text, by }))
  return { ...world, policy, custom, scans, write }
}

test('POL-1: a policy that an owner writes is in force at once and after a restart', async (t) => {
  const options = { dataDir: temporaryFolder(t), clock: createTestClock() }
  const before = await setup(t, options)
  assert.equal(before.scans(), true)
  assert.deepEqual(await before.write(freeze), { version: 1 })
  assert.equal(before.scans(), false)
  const [entry] = (await before.audit.page({ limit: 5, order: 'asc', type: 'policy.written' })).items
  assert.deepEqual(entry?.detail, { version: 1, text: freeze })
  await before.close()
  assert.equal((await setup(t, options)).scans(), false)
})

test('POL-1: every version is kept, and a removed file is out of force', async (t) => {
  const { custom, store, scans, write } = await setup(t)
  await write(freeze)
  await write(freeze.replace('forbid', 'permit'))
  assert.equal(scans(), true)
  await write(freeze)
  await store.write((tx) => custom.remove(tx, 'freeze.cedar', owner))
  assert.equal(scans(), true)
  const versions = await custom.versions('freeze.cedar')
  assert.deepEqual(
    versions.map(({ version, text }) => [version, text === null]),
    [
      [4, true],
      [3, false],
      [2, false],
      [1, false],
    ],
  )
  await assert.rejects(
    store.write((tx) => custom.remove(tx, 'freeze.cedar', owner)),
    { code: 'request.not_found' },
  )
})

test('POL-1: only an owner writes policies', async (t) => {
  const { custom, store, write } = await setup(t)
  await assert.rejects(write(freeze, 'x', { ...owner, roles: ['operator', 'approver', 'auditor'] }), {
    code: 'policy.denied',
  })
  const agent: Principal = { kind: 'agent', id: 'a', name: 'a', roles: [] }
  await assert.rejects(
    store.write((tx) => custom.remove(tx, 'x', agent)),
    { code: 'policy.denied' },
  )
})

test('POL-2: what is refused, or rolled back, changes nothing', async (t) => {
  const { custom, store, policy, scans, write } = await setup(t)
  await assert.rejects(write('permit (principal'), { code: 'policy.invalid' })
  await write(freeze)
  await assert.rejects(write(freeze, 'copy.cedar'), { code: 'policy.invalid' }, 'an id belongs to one file')
  const rolledBack = store.write(async (tx) => {
    await custom.remove(tx, 'freeze.cedar', owner)
    throw new Error('rolled back')
  })
  await assert.rejects(rolledBack, /rolled back/)
  assert.equal(scans(), false)
  assert.equal(policy.files().policies.filter(({ origin }) => origin === 'custom').length, 1)
})

test('POL-2: a stored policy is checked again when the schema has changed', async (t) => {
  const { custom, store, scans, write } = await setup(t)
  await write(freeze)
  await store.write((tx) => tx.run(sql`update custom_policies set schema_digest = 'older', compiled = '{}'`))
  await custom.load()
  assert.equal(scans(), false)
  await store.write((tx) =>
    tx.run(sql`update custom_policies set text = ${freeze.replace('scans.start', 'scans.gone')}`),
  )
  await assert.rejects(custom.load(), { code: 'policy.invalid' })
})
