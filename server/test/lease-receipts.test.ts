// The ends of leases through the real server, its proxy and its audit log.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { api, type LeaseView } from '@keyward/contract'
import { eventually } from './support/eventually.ts'
import { newPaymentsKey } from './support/leaky-project.ts'
import { codeOf, type RunningServer, scratchFolder, startServer } from './support/server.ts'

const secretPath = 'secret/shop/stripe'
const destinations = [{ host: 'api.example.test', port: 443, methods: ['POST'], pathPrefix: '/v1' }]

/** An agent with a lease of a stored key, asked for with its own API key. */
async function lent(server: RunningServer) {
  await server.call(api.secrets.write, { path: secretPath, set: { value: newPaymentsKey() }, cas: 0 })
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  const agentId = agent.id
  const grant = { agentId, secretPath, destinations, reason: 'Refunds', delegable: true }
  await server.call(api.grants.create, grant)
  const asked = { secretPath, purpose: 'Refund order 17', destinations, ttlSeconds: 300 }
  const { lease, placeholder } = await server.call(api.leases.request, asked, apiKey)
  return { agentId, apiKey, lease, placeholder }
}

const proved = (server: RunningServer, leaseId: string): Promise<LeaseView> =>
  eventually(async () => {
    const { items } = await server.call(api.leases.list, {})
    return items.find(({ id, receipt }) => id === leaseId && receipt?.state === 'proved')
  }, `the receipt of ${leaseId}`)

async function openServer(t: TestContext): Promise<RunningServer> {
  return startServer(t, { dataDir: scratchFolder(t) })
}

test('LEND-3: a revoked lease is shown to be refused by the running proxy; list, command and audit log have the receipt', async (t) => {
  const server = await openServer(t)
  const { lease, placeholder, agentId } = await lent(server)
  await server.call(api.leases.revoke, { leaseId: lease.id, reason: 'Not needed' })
  const { receipt } = await proved(server, lease.id)
  assert.deepEqual(receipt?.proofs, [
    {
      by: 'egress proxy',
      how: 'a request with its placeholder',
      answer: '403 lease.ended',
      result: 'refused',
      livesUntil: null,
    },
  ])
  const { items } = await server.call(api.audit.list, { type: 'lease.receipt', limit: 10 })
  assert.equal(items[0]?.target, `lease:${lease.id}`)
  assert.match(JSON.stringify(items[0]?.detail), new RegExp(`"digest":"${receipt?.digest}"`))
  const { stdout } = await server.keyward(['leases', 'list', '--agent', agentId])
  assert.match(stdout, /revoked.*proved/)
  const { items: denied } = await server.call(api.audit.list, { type: 'egress.denied', limit: 10 })
  assert.match(JSON.stringify(denied[0]?.detail), new RegExp(`probe-${lease.id}`))
  const { items: all } = await server.call(api.audit.list, { limit: 500 })
  assert.ok(!JSON.stringify(all).includes(placeholder))
  const { egress, leaseProofs } = await server.call(api.system.status, {})
  assert.deepEqual([egress?.denied, egress?.misused, leaseProofs?.unproved], [0, 0, 0])
})

test('LEND-3: a quarantined agent is stopped before its lease is looked at, and that is shown', async (t) => {
  const server = await openServer(t)
  const { lease, agentId } = await lent(server)
  await server.call(api.agents.quarantine, { agentId, reason: 'It misbehaves' })
  const { receipt } = await proved(server, lease.id)
  assert.equal(receipt?.proofs[0]?.answer, '403 egress.denied')
})

test('LEND-3: a server that is killed before the receipt writes it when it is back, and revives nothing', async (t) => {
  const dataDir = scratchFolder(t)
  const server = await startServer(t, { dataDir })
  const { lease } = await lent(server)
  await server.call(api.leases.revoke, { leaseId: lease.id, reason: 'Not needed' })
  await server.stop('SIGKILL')
  const again = await startServer(t, { dataDir, token: server.token })
  const { state } = await proved(again, lease.id)
  assert.equal(state, 'revoked')
})

test('LEND-4: a lease is passed on by command; what was passed on ends with it, and both ends are shown', async (t) => {
  const server = await openServer(t)
  const { lease, apiKey } = await lent(server)
  const helper = await server.call(api.agents.register, { name: 'helper-bot' })
  const env = { KEYWARD_TOKEN: apiKey }
  const pass = ['leases', 'delegate', lease.id, '--agent', 'helper-bot', '--purpose', 'Look it up']
  const wide = await server.keyward([...pass, '--to', 'evil.example'], { env })
  assert.match(wide.stderr, /more than the lease/)
  const passed = await server.keyward([...pass, '--to', 'POST api.example.test/v1/refunds', '--json'], {
    env,
  })
  assert.equal(passed.code, 0, passed.stderr)
  const part = JSON.parse(passed.stdout)
  assert.deepEqual([part.lease.parentId, part.lease.agentId], [lease.id, helper.agent.id])
  const body = { agent: 'shop-bot', purpose: 'Pass it back' }
  const back = await server.ask('POST', `/api/v1/leases/${part.lease.id}/delegate`, {
    token: helper.apiKey,
    body,
  })
  assert.equal(codeOf(back), 'policy.denied')
  await server.call(api.leases.revoke, { leaseId: lease.id, reason: 'Not needed' })
  await proved(server, lease.id)
  const ended = await proved(server, part.lease.id)
  assert.deepEqual([ended.state, ended.endReason], ['revoked', 'the lease that it was a part of is over'])
})
