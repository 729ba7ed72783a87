import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RunDetail } from '@keyward/contract'
import { dataOf, openDatabases, postgresOnly, text } from '../../test/support/database-mount.ts'
import { createEngine, engineMigrations, olga, pendingApproval, piet } from '../../test/support/engine.ts'
import { eventually } from '../../test/support/eventually.ts'
import { callerOf, openUnsealedVault } from '../../test/support/vault-server.ts'
import { auditMigrations } from '../audit/index.ts'
import { busMigrations } from '../bus/index.ts'
import { natureOf } from '../rollout/index.ts'
import { type Vault, vaultMigrations } from '../vault/index.ts'
import { rotateActions, rotateFlow } from './rotate.ts'

type World = Awaited<ReturnType<typeof openUnsealedVault>>

/** The flow on a real vault and a real engine; agents have nothing lent. */
async function open(t: TestContext, world: World) {
  await world.store.migrate([...auditMigrations, ...busMigrations, ...vaultMigrations, ...engineMigrations])
  const lend = { page: async () => ({ items: [], next: null }) }
  const calls: string[] = []
  const vault: Pick<Vault, 'act'> = {
    act(by, act) {
      if (act.method === 'POST') calls.push(act.path)
      return world.vault.act(by, act)
    },
  }
  const engine = createEngine(world, { actions: rotateActions({ vault, lend }) })
  await engine.workflow.run()
  t.after(() => engine.stop())
  const flow = rotateFlow({ vault, lend })
  const root = callerOf(world.vault, world.rootToken)
  const start = async (project: string) =>
    engine.workflow.start(undefined, {
      plan: await flow.plan({ project }, olga),
      requestedBy: olga,
      unattended: false,
    })
  const answered = async (project: string, decision: 'approve' | 'deny'): Promise<RunDetail> => {
    const { id } = await start(project)
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    await engine.approvals[decision]({ ...piet, secondFactorAt: world.clock.now() }, approvalId, { digest })
    return engine.workflow.whenEnded(id)
  }
  return { engine, flow, root, start, answered, calls }
}

test('WORK-3: the transit keys of a project are rotated by one question, and looked at afterwards', async (t) => {
  const world = await openUnsealedVault(t)
  const { root, answered, calls, engine, start } = await open(t, world)
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  for (const name of ['shop', 'shop-orders', 'shopping', 'bank'])
    await root('POST', `transit/keys/${name}`, {})
  await root('POST', 'transit/keys/shop-signing', { type: 'ed25519' })
  const versionOf = async (name: string) =>
    dataOf(await root('GET', `transit/keys/${name}`))['latest_version']
  const plaintext = Buffer.from('before').toString('base64')
  const { ciphertext } = dataOf(await root('POST', 'transit/encrypt/shop', { plaintext }))

  const { id } = await start('shop')
  const question = await pendingApproval(engine.approvals, id)
  assert.equal(question.target, 'transit/shop, transit/shop-orders, transit/shop-signing')
  assert.match(JSON.stringify(question.preview), /"now":"version 1"/)
  assert.deepEqual(calls, [], 'nothing happens before the answer')
  await engine.approvals.approve(piet, question.id, { digest: question.digest })
  const run = await engine.workflow.whenEnded(id)
  assert.equal(run.state, 'Succeeded', run.reason ?? '')
  assert.deepEqual(
    await Promise.all(['shop', 'shop-orders', 'shop-signing', 'shopping', 'bank'].map(versionOf)),
    [2, 2, 2, 1, 1],
  )
  assert.deepEqual(dataOf(await root('POST', 'transit/decrypt/shop', { ciphertext }))['plaintext'], plaintext)
  assert.equal((await answered('shop', 'deny')).state, 'Cancelled')
  assert.equal(await versionOf('shop'), 2)
})

test('POL-3: what is judged right before a key is rotated is the risk that the plan and the question have shown', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'transit/keys/shop', {})
  const needs = { vault, lend: { page: async () => ({ items: [], next: null }) } }
  const actions = rotateActions(needs)
  const { tasks } = await rotateFlow(needs).plan({ project: 'shop' }, olga)
  for (const { id, action: name, args, risk } of tasks) {
    const action = actions.find((one) => one.name === name)
    assert.equal((await natureOf(action, { args, risk })).risk, risk, id)
  }
  const target = { kind: 'database-role', mount: 'database', name: 'shop' }
  const more = await rotateFlow(needs).plan({ targets: [target] }, olga)
  assert.deepEqual(
    [tasks, more.tasks].map((all) => all.map(({ risk }) => risk)),
    [
      ['medium', 'medium', 'low'],
      ['high', 'high', 'low'],
    ],
  )
})

test('WORK-3: what belongs to nobody is not rotated, and neither is what changed after it was approved', async (t) => {
  const world = await openUnsealedVault(t)
  const { root, flow, start, engine, calls } = await open(t, world)
  await assert.rejects(flow.plan({ project: 'shop' }, olga), { code: 'vault.not_found' })
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'transit/keys/shop', {})
  const { id } = await start('shop')
  const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
  await root('POST', 'transit/keys/shop/rotate', {})
  await engine.approvals.approve(piet, approvalId, { digest })
  const run = await engine.workflow.whenEnded(id)
  assert.equal(run.state, 'Failed')
  assert.match(run.reason ?? '', /approval\.void/)
  assert.deepEqual(calls, [])
})

test('WORK-3: an attempt that was lost after it rotated does not rotate again', async (t) => {
  const { vault, rootToken } = await openUnsealedVault(t)
  const root = callerOf(vault, rootToken)
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'transit/keys/shop', {})
  const actions = rotateActions({ vault, lend: { page: async () => ({ items: [], next: null }) } })
  const rotate = actions.find(({ name }) => name === 'vault.rotate')
  const target = { kind: 'transit-key', mount: 'transit', name: 'shop' }
  const before = [{ target, mark: 'version 1', detail: {} }]
  const attempt = (n: number) =>
    rotate?.execute({
      runId: 'run_1',
      taskId: 'rotate-1',
      attempt: n,
      idempotencyKey: 'run_1:rotate-1',
      args: { target },
      outputs: { review: { before } },
      approvedPreview: null,
      risk: 'low',
      signal: new AbortController().signal,
      heartbeat: () => undefined,
      requestedBy: 'person:olga',
    })
  assert.deepEqual((await attempt(1))?.output, { before: 'version 1', after: 'version 2' })
  assert.deepEqual((await attempt(2))?.output, { before: 'version 1', after: 'version 2' })
  assert.equal(dataOf(await root('GET', 'transit/keys/shop'))['latest_version'], 2)
  await assert.rejects(attempt(1) ?? Promise.resolve(), { code: 'task.failed', detail: /by somebody else/ })
})

/** Users of a real PostgreSQL, each of them a static role of the same name. The clock is past the time of their first passwords. */
async function openStaticRoles(t: TestContext, names: readonly string[]) {
  const world = await openDatabases(t)
  for (const name of names) {
    await world.postgres.query(`create role "${name}" login`)
    const role = { db_name: 'shop', username: name, rotation_period: '24h' }
    const path = `database/static-roles/${name}`
    assert.equal((await world.root('POST', path, role)).status, 204)
  }
  // Otherwise a new password would have the time of the one before, as only a clock that stands still can have it.
  world.clock.advance(1000)
  const passwordOf = async (name: string) =>
    text(dataOf(await world.root('GET', `database/static-creds/${name}`)), 'password')
  return { ...world, passwordOf }
}

test(
  'WORK-3: the password of a static role is changed at a real PostgreSQL, after an answer with a second factor',
  postgresOnly,
  async (t) => {
    const world = await openStaticRoles(t, ['shop', 'bank'])
    const { passwordOf, postgres } = world
    const { engine, start, calls } = await open(t, world)
    const [before, bank] = [await passwordOf('shop'), await passwordOf('bank')]
    const { id } = await start('shop')
    const question = await pendingApproval(engine.approvals, id)
    assert.equal(question.target, 'database/shop')
    assert.equal(question.risk, 'high')
    assert.equal(JSON.stringify(question).includes(before), false)
    const answer = { digest: question.digest }
    await assert.rejects(engine.approvals.approve(piet, question.id, answer), {
      code: 'approval.second_factor',
    })
    assert.deepEqual(calls, [], 'nothing happens before the answer')
    await engine.approvals.approve({ ...piet, secondFactorAt: world.clock.now() }, question.id, answer)
    const run = await engine.workflow.whenEnded(id)
    assert.equal(run.state, 'Succeeded', run.reason ?? '')
    const after = await passwordOf('shop')
    assert.notEqual(after, before)
    assert.equal(await postgres.signsIn('shop', after), true)
    assert.equal(await postgres.signsIn('shop', before), false)
    assert.equal(await passwordOf('bank'), bank)
    assert.equal(JSON.stringify(run).includes(after), false)
  },
)

test(
  'WORK-3: when a database refuses a password, those after it are left, and the vault goes on trying by itself',
  postgresOnly,
  async (t) => {
    const world = await openStaticRoles(t, ['shop-a', 'shop-b'])
    const { passwordOf, postgres, clock } = world
    const { engine, start } = await open(t, world)
    const [first, second] = [await passwordOf('shop-a'), await passwordOf('shop-b')]
    await postgres.query('drop role "shop-a"')
    const { id } = await start('shop')
    const { id: approvalId, digest } = await pendingApproval(engine.approvals, id)
    await engine.approvals.approve({ ...piet, secondFactorAt: clock.now() }, approvalId, { digest })
    const run = await eventually(async () => {
      const now = await engine.workflow.read(id)
      // What failed is tried again after some seconds. An attempt under way has a limit that must not pass meanwhile.
      const { state, attempt } = now?.tasks.find((one) => one.id === 'rotate-1') ?? {}
      if (state === 'Pending' && attempt !== 0) clock.advance(1000)
      return now?.finishedAt ? now : undefined
    }, 'the end of the run')
    assert.equal(run.state, 'Failed')
    assert.match(run.reason ?? '', /retries will continue in the background/)
    assert.deepEqual([await passwordOf('shop-a'), await passwordOf('shop-b')], [first, second])
    await postgres.query('create role "shop-a" login')
    const later = await eventually(async () => {
      clock.advance(1000)
      const password = await passwordOf('shop-a')
      return password === first ? undefined : password
    }, 'the new password')
    assert.equal(await postgres.signsIn('shop-a', later), true)
    assert.equal(await passwordOf('shop-b'), second)
  },
)
