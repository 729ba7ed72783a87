// An agent that lacks a secret, and a person who enters it, through the commands of the real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { newPaymentsKey } from './support/leaky-project.ts'
import { codeOf, startServer } from './support/server.ts'

test('LEND-4: an agent asks, a person answers on a masked prompt or denies; the agent gets a reference and may borrow', async (t) => {
  const server = await startServer(t)
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  const other = await server.call(api.agents.register, { name: 'other-bot' })
  const asAgent = { env: { KEYWARD_TOKEN: apiKey } }
  const to = ['--to', 'POST api.stripe.com/v1/*', '--to', 'files.stripe.com', '--as', 'bearer']
  const asked = await server.keyward(
    ['leases', 'ask', 'stripe', ...to, '--reason', 'Refund order 17'],
    asAgent,
  )
  assert.equal(asked.code, 0, asked.stderr)
  const askId = asked.stdout.trim()
  const { stdout: open } = await server.keyward(['leases', 'asks', '--state', 'open', '--agent', 'shop-bot'])
  assert.match(open, /shop-bot.*POST api\.stripe\.com\/v1\/\*/)
  assert.equal((await server.call(api.system.status, {})).openAsks, 1)

  const value = newPaymentsKey()
  const wide = await server.keyward(['leases', 'answer', askId, '--to', 'evil.example'], {
    input: `${value}\n`,
  })
  assert.match(wide.stderr, /the places that were asked for, or to fewer/)
  const empty = await server.keyward(['leases', 'answer', askId], { input: '\n' })
  assert.match(empty.stderr, /nothing was entered/)
  const narrow = ['--to', 'POST api.stripe.com/v1/*']
  const answered = await server.keyward(['leases', 'answer', askId, ...narrow], { input: `${value}\n` })
  assert.equal(answered.code, 0, answered.stderr)
  assert.match(answered.stderr, /shop-bot asks for a secret: Refund order 17/)
  assert.ok(!(answered.stdout + answered.stderr).includes(value))

  const ask = await server.call(api.asks.read, { askId }, apiKey)
  assert.equal(ask.reference, 'keyward://secret/agents/shop-bot/stripe#value')
  const { secretPath } = ask
  const destinations = [{ host: 'api.stripe.com', port: 443, methods: ['POST'], pathPattern: '/v1/*' }]
  const { lease } = await server.call(
    api.leases.request,
    { secretPath, destinations, purpose: 'Refund' },
    apiKey,
  )
  assert.equal(lease.agentId, agent.id)
  assert.equal((await server.call(api.secrets.reveal, { path: secretPath, field: 'value' })).value, value)
  const { items } = await server.call(api.audit.list, { limit: 500 })
  assert.ok(!JSON.stringify(items).includes(value) && !server.output().includes(value))

  const again = await server.call(api.asks.create, { ...ask, name: 'mail', reason: 'Send a receipt' }, apiKey)
  const denied = await server.keyward(['leases', 'deny', again.id, '--reason', 'Use the test account'])
  assert.match(denied.stderr, /is denied/)
  const third = await server.call(api.asks.create, { ...ask, name: 'mail', reason: 'Send a receipt' }, apiKey)
  const refusals = [
    ['GET', `/api/v1/asks/${third.id}`, undefined],
    ['POST', `/api/v1/asks/${third.id}/withdraw`, { reason: 'not mine' }],
  ] as const
  for (const [method, path, body] of refusals) {
    const reply = await server.ask(method, path, { token: other.apiKey, ...(body ? { body } : {}) })
    assert.deepEqual([reply.status, codeOf(reply)], [403, 'policy.denied'], path)
  }
  for (const token of [apiKey, other.apiKey])
    for (const [word, body] of Object.entries({ answer: { value: 'x' }, deny: { reason: 'no' } })) {
      const reply = await server.ask('POST', `/api/v1/asks/${third.id}/${word}`, {
        token,
        body: { ...body, reason: 'not theirs' },
      })
      assert.notEqual(reply.status, 200, word)
    }
  const byPerson = await server.ask('POST', '/api/v1/asks', {
    body: { name: 'mine', destinations, reason: 'For me' },
  })
  assert.equal(codeOf(byPerson), 'policy.denied')
  const withdrawn = await server.keyward(
    ['leases', 'withdraw', third.id, '--reason', 'Done without'],
    asAgent,
  )
  assert.match(withdrawn.stderr, /is withdrawn/)
  assert.equal((await server.call(api.asks.list, {}, other.apiKey)).items.length, 0)
})
