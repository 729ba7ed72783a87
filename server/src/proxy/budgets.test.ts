import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { apiHost, openProxy, openTls, openUpstream } from '../../test/support/egress.ts'
import { createBudgets } from './budgets.ts'
import { count, leftFor, newTally, type Tally } from './tally.ts'

const known = (leaseId: string, bytesLeft: number) => [{ leaseId, bytesLeft }]

test('LEND-1: what uses a lease at the same time counts its bytes together', () => {
  const budgets = createBudgets()
  const [one, two] = [newTally(), newTally()]
  for (const tally of [one, two]) budgets.join(tally, known('lea_1', 1000))
  assert.equal(count(one, 'bytesOut', 600), true)
  assert.equal(leftFor(two), 400)
  assert.equal(count(two, 'bytesIn', 400), true)
  assert.equal(count(one, 'bytesIn', 1), false)
  assert.equal(count(two, 'bytesIn', 1), false)
  const free = newTally()
  budgets.join(free, [])
  assert.equal(count(free, 'bytesIn', Number.MAX_SAFE_INTEGER), true)
})

test('LEND-1: what passed before a request used a lease is taken off it, once', () => {
  const budgets = createBudgets()
  const tally = newTally()
  count(tally, 'bytesOut', 300)
  budgets.join(tally, known('lea_1', 1000))
  // A WebSocket uses its lease in one message after the other.
  budgets.join(tally, known('lea_1', 1000))
  assert.equal(leftFor(tally), 700)
})

test('LEND-1: an answer of the server from before it heard of the last bytes gives none of them back', () => {
  const budgets = createBudgets()
  const spend = (bytes: number, bytesLeft: number): Tally => {
    const tally = newTally()
    budgets.join(tally, known('lea_1', bytesLeft))
    count(tally, 'bytesIn', bytes)
    return tally
  }
  budgets.leave(spend(900, 1000))
  const late = spend(0, 1000)
  assert.equal(leftFor(late), 100)
  budgets.leave(late)
  assert.equal(leftFor(spend(0, 50)), 50, 'what the server knows of besides is not given back either')
  assert.equal(leftFor(late), Number.POSITIVE_INFINITY, 'what is over counts nothing any more')
})

test('LEND-1: of a thousand budgets that nobody uses, and of all that are in use, none is forgotten', () => {
  const budgets = createBudgets()
  const held = newTally()
  budgets.join(held, known('held', 10))
  count(held, 'bytesIn', 10)
  const pass = (leaseId: string): number => {
    const tally = newTally()
    budgets.join(tally, known(leaseId, 10))
    const left = leftFor(tally)
    count(tally, 'bytesIn', 10)
    budgets.leave(tally)
    return left
  }
  for (let each = 0; each < 1001; each++) pass(`lea_${each}`)
  assert.deepEqual([pass('held'), pass('lea_1'), pass('lea_0')], [0, 0, 10])
})

test('LEND-1, LEND-4: connections at the same time, also of parts of a lease in other sandboxes, get its bytes once', async (t) => {
  const answers: ServerResponse[] = []
  const upstream = await openUpstream(t, (_request, response) => {
    answers.push(response)
    response.write('x'.repeat(400))
  })
  const { channel, lend, gate, recorded } = await openProxy(t)
  const begin = async (leaseId: string) => {
    const { placeholder, value } = lend()
    const partOf = { leaseId: 'lease_whole', bytesLeft: 1000 }
    gate.leases.set(placeholder, { value, host: apiHost, leaseId, partOf })
    const tls = await openTls(await channel({ host: apiHost, port: 443, ...upstream }))
    let text = ''
    const enough = new Promise<void>((resolve) => {
      tls.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        if (text.includes('x'.repeat(400))) resolve()
      })
    })
    const ended = once(tls, 'close')
    tls.write(`GET / HTTP/1.1\r\nHost: ${apiHost}\r\nX-Key: ${placeholder}\r\n\r\n`)
    return { enough, ended, seen: () => text.split('x').length - 1 }
  }
  const first = await begin('lease_1')
  await first.enough
  const second = await begin('lease_2')
  await second.enough
  const third = await begin('lease_3')
  await third.ended
  assert.equal(third.seen(), 0)
  for (const answer of answers) answer.write('x')
  await Promise.all([first.ended, second.ended])
  assert.deepEqual([first.seen(), second.seen()], [400, 400])
  const records = await recorded(3)
  for (const { outcome, reason } of records) {
    assert.equal(outcome, 'denied')
    assert.match(reason ?? '', /bytes that the lease was given are spent/)
  }
})
