// The ends of leases through the real server, its proxy and its audit log.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { api, type LeaseView } from '@keyward/contract'
import { eventually } from './support/eventually.ts'
import { newPaymentsKey } from './support/leaky-project.ts'
import { type RunningServer, scratchFolder, startServer } from './support/server.ts'

const secretPath = 'secret/shop/stripe'
const destinations = [{ host: 'api.example.test', port: 443, methods: ['POST'], pathPrefix: '/v1' }]

/** An agent with a lease of a stored key, asked for with its own API key. */
async function lent(server: RunningServer) {
  await server.call(api.secrets.write, { path: secretPath, set: { value: newPaymentsKey() }, cas: 0 })
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  const agentId = agent.id
  await server.call(api.grants.create, { agentId, secretPath, destinations, reason: 'Refunds' })
  const asked = { secretPath, purpose: 'Refund order 17', destinations, ttlSeconds: 300 }
  const { lease, placeholder } = await server.call(api.leases.request, asked, apiKey)
  return { agentId, lease, placeholder }
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
