import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createLedger, type Ledger } from '../../../test/support/ledger.ts'
import {
  type Caller,
  callerOf,
  openUnsealedVault,
  type VaultWorld,
} from '../../../test/support/vault-server.ts'
import { AppError } from '../../core/index.ts'

type World = VaultWorld & { root: Caller; ledger: Ledger; rootToken: string }

async function openWithLedger(t: TestContext, ledger = createLedger()): Promise<World> {
  const world = await openUnsealedVault(t, { engines: { ledger: ledger.engine } })
  const root = callerOf(world.vault, world.rootToken)
  assert.equal((await root('POST', 'sys/mounts/books', { type: 'ledger' })).status, 204)
  return { ...world, root, ledger }
}

const away = async (): Promise<never> => {
  throw new AppError('store.unavailable', 'the ledger is away')
}

async function granted(
  caller: Caller,
  role = 'shop',
): Promise<{ id: string; name: string; seconds: number }> {
  const { status, body } = await caller('GET', `books/creds/${role}`)
  assert.equal(status, 200, JSON.stringify(body))
  const { username } = body['data'] as { username: string }
  return { id: String(body['lease_id']), name: username, seconds: Number(body['lease_duration']) }
}

test('LEND-1: a grant answers with the id, the time and the renewability of its lease', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const { status, body } = await root('GET', 'books/creds/shop')
  assert.equal(status, 200)
  assert.match(String(body['lease_id']), /^books\/creds\/shop\/[A-Za-z0-9]{24}$/)
  assert.equal(body['renewable'], true)
  assert.equal(body['lease_duration'], 600)
  assert.deepEqual(body['data'], { username: 'shop-1', password: 'made-up-shop-1' })
  assert.deepEqual([...ledger.accounts], ['shop-1'])
  const { items } = await vault.leases.page({ limit: 10 })
  assert.deepEqual(
    items.map(({ id, state, role, mount }) => ({ id, state, role, mount })),
    [{ id: String(body['lease_id']), state: 'live', role: 'shop', mount: 'books/' }],
  )
})

test('LEND-1: what was given out ends at its time', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  await granted(root)
  clock.advance(599_000)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 1)
  clock.advance(1_000)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('LEND-1: what cannot be ended is tried again until it works, and seen meanwhile', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  await granted(root)
  ledger.onEnd = away
  clock.advance(600_000)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 1)
  const backlog = await vault.leases.backlog()
  assert.equal(backlog.count, 1)
  assert.match(backlog.error ?? '', /the ledger is away/)
  for (let i = 0; i < 60; i++) {
    clock.advance(60_000)
    await vault.leases.idle()
  }
  assert.ok(ledger.calls.filter((call) => call.startsWith('end')).length > 5)
  ledger.onEnd = async () => undefined
  clock.advance(20 * 60_000)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal((await vault.leases.backlog()).count, 0)
})
