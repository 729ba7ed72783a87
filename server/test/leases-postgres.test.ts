import assert from 'node:assert/strict'
import { test } from 'node:test'
import { away, back, granted, openWithLedger } from './support/ledger.ts'
import { createDatabase, postgresBinaries, startPostgres } from './support/postgres.ts'

const minute = 60_000

test('VAULT-3, OPS-2: the life of leases on PostgreSQL', async (t) => {
  if (!postgresBinaries()) return t.skip('PostgreSQL is not installed')
  const databaseUrl = await createDatabase(await startPostgres(t))
  const { root, ledger, vault, clock } = await openWithLedger(t, { databaseUrl, mostLeases: 30 })

  const first = await granted(root)
  for (let i = 0; i < 29; i++) await granted(root)
  assert.equal((await root('GET', 'books/creds/shop')).status, 429)
  await granted(root, 'books/creds/other')
  const page = await vault.leases.page({ limit: 20 })
  assert.equal(page.items.length, 20)
  const rest = await vault.leases.page({ limit: 20, cursor: page.next ?? '' })
  assert.equal(rest.items.length, 11)
  assert.equal(rest.next, null)
  assert.deepEqual(await vault.leases.list('books/creds'), ['other/', 'shop/'])
  const renewed = await root('POST', 'sys/leases/renew', { lease_id: first.id, increment: 1200 })
  assert.equal(renewed.body['lease_duration'], 1200)

  ledger.onEnd = away
  clock.advance(10 * minute)
  await vault.leases.idle()
  for (let i = 0; i < 70; i++) {
    clock.advance(minute)
    await vault.leases.idle()
  }
  const backlog = await vault.leases.backlog()
  assert.equal(backlog.count, 31)
  assert.ok(backlog.nextTryAt)
  assert.match(backlog.error ?? '', /the ledger is away/)
  assert.deepEqual(await vault.leases.stubborn(100), [])
  const failing = await vault.leases.page({ limit: 5, failing: true })
  assert.equal(failing.items.length, 5)
  const more = await vault.leases.page({ limit: 100, failing: true, cursor: failing.next ?? '' })
  assert.ok(more.items.length > 15)
  assert.ok(more.items.every(({ id }) => failing.items.every((other) => other.id !== id)))
  ledger.onEnd = back
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
  assert.deepEqual(await vault.leases.list(''), [])

  await granted(root)
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/books/creds')).status, 204)
  await granted(root)
  assert.equal((await root('DELETE', 'sys/mounts/books')).status, 204)
  assert.equal(ledger.accounts.size, 0)
})
