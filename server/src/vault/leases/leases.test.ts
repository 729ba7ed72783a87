import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { away, back, granted, type Ledger, openWithLedger, tokenFrom } from '../../../test/support/ledger.ts'
import { callerOf, openVault } from '../../../test/support/vault-server.ts'
import { createTestClock, type TestClock, temporaryFolder } from '../../../test/support/world.ts'
import { sql } from '../../store/index.ts'

const minute = 60_000

/** The same data in a new process, as after a crash or a restart. */
async function reopened(t: TestContext, dataDir: string, ledger: Ledger, clock: TestClock) {
  const world = await openVault(t, { dataDir, clock, engines: { ledger: async () => ledger.engine } })
  await world.vault.openAtStart()
  return world
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
  assert.equal((await root('POST', 'books/creds/shop')).status, 200)
})

test('LEND-1: intent and outcome of a grant and of its end are recorded, without a value', async (t) => {
  const { root, vault, audit, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  clock.advance(10 * minute)
  await vault.leases.idle()
  const { items } = await audit.page({ limit: 100, order: 'asc' })
  const about = items.filter(({ target }) => target === `lease:${id}`)
  assert.deepEqual(
    about.map(({ type, outcome }) => `${type} ${outcome}`),
    ['lease.requested intent', 'lease.expired intent', 'lease.ended done'],
  )
  const issued = items.find(({ type }) => type === 'lease.issued')
  assert.equal(issued?.outcome, 'done')
  assert.doesNotMatch(JSON.stringify(items), /made-up/)
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

test('LEND-1: what could not be made is ended twice: what was sent may arrive late', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  ledger.onMake = async (name) => {
    ledger.accounts.add(name)
    await away()
  }
  const { status, body } = await root('GET', 'books/creds/shop')
  assert.equal(status, 503)
  assert.match(JSON.stringify(body), /the ledger is away/)
  await vault.leases.idle()
  assert.deepEqual(ledger.calls, ['make shop-1', 'end shop-1'])
  assert.equal(ledger.accounts.size, 0)
  ledger.accounts.add('shop-1')
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('LEND-1: a failure that is no expected one is told to nobody', async (t) => {
  const { root, ledger, audit } = await openWithLedger(t)
  ledger.onMake = async () => {
    throw new Error('password=hunter2')
  }
  const { status, body } = await root('GET', 'books/creds/shop')
  assert.equal(status, 500)
  assert.doesNotMatch(JSON.stringify(body), /hunter2/)
  assert.doesNotMatch(JSON.stringify(await audit.page({ limit: 100, order: 'asc' })), /hunter2/)
})

test('LEND-1: what cannot be ended is tried again until it works, and seen meanwhile', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  await granted(root)
  ledger.onEnd = away
  clock.advance(10 * minute)
  await vault.leases.idle()
  const backlog = await vault.leases.backlog()
  assert.equal(backlog.count, 1)
  assert.match(backlog.error ?? '', /the ledger is away/)
  assert.equal(backlog.oldestAt?.toISOString(), '2026-01-01T00:10:00.000Z')
  for (let i = 0; i < 120; i++) {
    clock.advance(minute)
    await vault.leases.idle()
  }
  const tries = ledger.calls.filter((call) => call.startsWith('end')).length
  assert.ok(tries > 8 && tries < 40, `${tries} tries in two hours`)
  assert.equal((await vault.leases.stubborn(10)).length, 1)
  ledger.onEnd = back
  clock.advance(20 * minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.deepEqual(await vault.leases.backlog(), { count: 0, oldestAt: null, nextTryAt: null, error: null })
})

test('LEND-1: when a destination is back, all that failed is ended at once', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  for (let i = 0; i < 40; i++) await granted(root)
  ledger.onEnd = away
  clock.advance(10 * minute)
  await vault.leases.idle()
  for (let i = 0; i < 60; i++) {
    clock.advance(minute)
    await vault.leases.idle()
  }
  assert.equal((await vault.leases.backlog()).count, 40)
  ledger.onEnd = back
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('LEND-1: a destination that hangs holds up no other one', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const quick = await root('POST', 'sys/mounts/quick', { type: 'ledger' })
  assert.equal(quick.status, 204)
  const slow = await granted(root)
  const other = await granted(root, 'quick/creds/other')
  const hang = Promise.withResolvers<void>()
  ledger.onEnd = (name) => (name === slow.name ? hang.promise : back())
  clock.advance(10 * minute)
  while (ledger.accounts.has(other.name)) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(ledger.accounts.has(slow.name))
  clock.advance(minute)
  await vault.leases.idle()
  assert.match((await vault.leases.backlog()).error ?? '', /no answer within 60 seconds/)
  hang.resolve()
})

test('LEND-1: who waits for a maker that hangs is refused after a minute; it ends when the maker lets go', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const hang = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  ledger.onMake = () => {
    begun.resolve()
    return hang.promise
  }
  const asked = root('GET', 'books/creds/shop')
  await begun.promise
  clock.advance(minute)
  assert.equal((await asked).status, 400)
  await vault.leases.idle()
  assert.deepEqual(ledger.calls, ['make shop-1'])
  hang.resolve()
  while (!ledger.calls.includes('end shop-1')) await new Promise((resolve) => setImmediate(resolve))
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('LEND-1: a process that dies while it makes something leaves nothing behind', async (t) => {
  const dataDir = temporaryFolder(t)
  const { root, ledger, clock, close } = await openWithLedger(t, { dataDir })
  const begun = Promise.withResolvers<void>()
  ledger.onMake = async (name) => {
    ledger.accounts.add(name)
    begun.resolve()
    await new Promise(() => undefined)
  }
  void root('GET', 'books/creds/shop')
  await begun.promise
  await close()
  assert.deepEqual([...ledger.accounts], ['shop-1'])
  const later = createTestClock(clock.now())
  const { vault } = await reopened(t, dataDir, ledger, later)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  later.advance(minute)
  await vault.leases.idle()
  assert.deepEqual(ledger.calls, ['make shop-1', 'end shop-1', 'end shop-1'])
  assert.equal(await vault.leases.count(), 0)
})

test('LEND-1: what expires while the vault is sealed ends when it is opened', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  await granted(root)
  assert.equal((await root('POST', 'sys/seal')).status, 204)
  clock.advance(20 * minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 1)
  assert.equal((await vault.leases.backlog()).count, 1)
  await vault.unsealByItself()
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('LEND-1: a lease survives a restart and ends at its time', async (t) => {
  const dataDir = temporaryFolder(t)
  const { root, ledger, clock, close, rootToken } = await openWithLedger(t, { dataDir })
  const { id } = await granted(root)
  await close()
  const { vault } = await reopened(t, dataDir, ledger, clock)
  const again = callerOf(vault, rootToken)
  assert.equal((await again('POST', 'sys/leases/lookup', { lease_id: id })).status, 200)
  await vault.leases.idle()
  clock.advance(10 * minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('LEND-1: what is being made when the vault is sealed is refused, and ended when it is opened', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  ledger.onMake = async () => void (await root('POST', 'sys/seal'))
  const { status } = await root('GET', 'books/creds/shop')
  assert.equal(status, 503)
  assert.equal(ledger.accounts.size, 1)
  await vault.unsealByItself()
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('VAULT-3: a role has at most so many leases', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t, { mostLeases: 2 })
  const [first] = [await granted(root), await granted(root)]
  const { status, body } = await root('GET', 'books/creds/shop')
  assert.equal(status, 429)
  assert.deepEqual(body['errors'], ['request path "books/creds/shop": lease count quota exceeded'])
  assert.equal(ledger.calls.length, 2)
  await granted(root, 'books/creds/other')
  await root('POST', 'sys/leases/revoke', { lease_id: first.id })
  await vault.leases.idle()
  await granted(root)
})

test('VAULT-3: of many who ask at once, a role serves no more than it may', async (t) => {
  const { root, ledger } = await openWithLedger(t, { mostLeases: 5 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => root('GET', 'books/creds/shop')))
  assert.equal(answers.filter(({ status }) => status === 200).length, 5)
  assert.equal(ledger.accounts.size, 5)
})

test('VAULT-3: whoever asks for the headers alone gets nothing made', async (t) => {
  const { vault, rootToken, ledger } = await openWithLedger(t)
  const { status } = await callerOf(vault, rootToken)('HEAD' as 'GET', 'books/creds/shop')
  assert.equal(status, 405)
  assert.deepEqual(ledger.calls, [])
})

test('VAULT-3: without permission nothing is made', async (t) => {
  const { root, vault, ledger } = await openWithLedger(t)
  const { token } = await tokenFrom(root, { policies: ['default'] })
  assert.equal((await callerOf(vault, token)('GET', 'books/creds/shop')).status, 403)
  assert.deepEqual(ledger.calls, [])
})

test('VAULT-1: no path, role or name of a lease can be read on disk, and no column can be changed alone', async (t) => {
  const { root, dataDir, store } = await openWithLedger(t)
  const { id } = await granted(root, 'books/creds/conspicuous')
  const wal = readFileSync(join(dataDir, 'keyward.db-wal'), 'latin1')
  const rows = JSON.stringify(await store.all(sql`select * from vault_leases`))
  const folders = JSON.stringify(await store.all(sql`select * from vault_lease_folders`))
  assert.ok(wal.length > 0)
  assert.doesNotMatch(rows + folders, /conspicuous|books/)
  await store.write((tx) => tx.run(sql`update vault_leases set expires_at = expires_at + 1000000`))
  const { status } = await root('POST', 'sys/leases/lookup', { lease_id: id })
  assert.equal(status, 500)
})

test('VAULT-1: a lease whose row was changed ends nothing, shows, and holds up no other', async (t) => {
  const { root, ledger, vault, store, clock } = await openWithLedger(t)
  await granted(root)
  await store.write((tx) => tx.run(sql`update vault_leases set token = null`))
  const whole = await granted(root)
  clock.advance(10 * minute)
  await vault.leases.idle()
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.has(whole.name), false)
  assert.equal((await vault.leases.backlog()).count, 1)
  assert.match((await vault.leases.backlog()).error ?? '', /altered or damaged/)
  assert.equal((await vault.leases.page({ limit: 10 })).items.length, 1)
  assert.equal((await root('POST', 'sys/leases/revoke-force/books')).status, 204)
  assert.equal(await vault.leases.count(), 0)
})

test('LEND-1: a lane comes back to a lease that somebody else has tried to end, and to one made after a seal', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  ledger.onEnd = away
  assert.equal((await root('POST', 'sys/leases/revoke', { lease_id: id })).status, 400)
  await vault.leases.idle()
  const tried = Promise.withResolvers<void>()
  const hang = Promise.withResolvers<void>()
  ledger.onEnd = () => {
    tried.resolve()
    return hang.promise.then(away)
  }
  const revoked = root('POST', 'sys/leases/revoke', { lease_id: id })
  await tried.promise
  clock.advance(5_000)
  await vault.leases.idle()
  hang.resolve()
  assert.equal((await revoked).status, 400)
  await vault.leases.idle()
  ledger.onEnd = back
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)

  await root('POST', 'sys/seal')
  clock.advance(minute)
  await vault.unsealByItself()
  await granted(root)
  clock.advance(10 * minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})
