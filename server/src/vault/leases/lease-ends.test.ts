import assert from 'node:assert/strict'
import { test } from 'node:test'
import { away, back, granted, openWithLedger, tokenFrom } from '../../../test/support/ledger.ts'
import { callerOf } from '../../../test/support/vault-server.ts'
import { sql } from '../../store/index.ts'

const minute = 60_000

test('VAULT-3: when a token is revoked, what it was given ends with it', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const { token } = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
  await granted(callerOf(vault, token))
  const kept = await granted(root)
  assert.equal((await root('POST', 'auth/token/revoke', { token })).status, 204)
  await vault.leases.idle()
  assert.deepEqual([...ledger.accounts], [kept.name])
})

test('VAULT-3: a parent that is revoked takes the leases of its children and theirs along', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const parent = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
  const child = await tokenFrom(callerOf(vault, parent.token), { policies: ['root'], ttl: '1h' })
  const grandchild = await tokenFrom(callerOf(vault, child.token), { policies: ['root'], ttl: '1h' })
  for (const { token } of [parent, child, grandchild]) await granted(callerOf(vault, token))
  assert.equal(ledger.accounts.size, 3)
  const { accessor } = parent
  assert.equal((await root('POST', 'auth/token/revoke-accessor', { accessor })).status, 204)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('VAULT-3: a token made an orphan keeps its leases; the one that went does not', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const parent = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
  const child = await tokenFrom(callerOf(vault, parent.token), { policies: ['root'], ttl: '1h' })
  await granted(callerOf(vault, parent.token))
  const kept = await granted(callerOf(vault, child.token))
  await root('POST', 'auth/token/revoke-orphan', { token: parent.token })
  await vault.leases.idle()
  assert.deepEqual([...ledger.accounts], [kept.name])
})

test('VAULT-3: leases end with a token that expires, or has no use left', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const counted = await tokenFrom(root, { policies: ['root'], ttl: '1h', num_uses: 2 })
  await granted(callerOf(vault, counted.token))
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 1)
  await callerOf(vault, counted.token)('GET', 'auth/token/lookup-self')
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  const brief = await tokenFrom(root, { policies: ['root'], ttl: '2m' })
  await granted(callerOf(vault, brief.token))
  clock.advance(2 * minute)
  await vault.expireTokens()
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('VAULT-3: the last use of a token is not spent on what would end with it', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const { token } = await tokenFrom(root, { policies: ['root'], ttl: '1h', num_uses: 1 })
  const { status, body } = await callerOf(vault, token)('GET', 'books/creds/shop')
  assert.equal(status, 400)
  assert.match(JSON.stringify(body), /token had one use left/)
  assert.deepEqual(ledger.calls, [])
})

test('VAULT-3: a lease ends no later than its token ever can', async (t) => {
  const { root, vault } = await openWithLedger(t)
  const fixed = await tokenFrom(root, { policies: ['root'], ttl: '2m', renewable: false })
  assert.equal((await granted(callerOf(vault, fixed.token))).seconds, 120)
  const capped = await tokenFrom(root, { policies: ['root'], ttl: '2m', explicit_max_ttl: '5m' })
  const { id, seconds } = await granted(callerOf(vault, capped.token))
  assert.equal(seconds, 300)
  const renewed = await root('POST', 'sys/leases/renew', { lease_id: id, increment: 3600 })
  assert.equal(renewed.body['lease_duration'], 300)
})

test('VAULT-3: a batch token gets leases, within its time, that go with its parent', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  await root('POST', 'sys/policies/acl/books', { policy: 'path "books/*" { capabilities = ["read"] }' })
  const parent = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
  const batch = await tokenFrom(callerOf(vault, parent.token), {
    type: 'batch',
    policies: ['books'],
    ttl: '3m',
  })
  assert.equal((await granted(callerOf(vault, batch.token))).seconds, 180)
  await root('POST', 'auth/token/revoke', { token: parent.token })
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  const orphan = await tokenFrom(root, { type: 'batch', policies: ['books'], ttl: '3m', no_parent: true })
  assert.equal((await granted(callerOf(vault, orphan.token))).seconds, 180)
})

test('VAULT-3: a token that is revoked while something is made for it gets nothing', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const { token } = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
  ledger.onMake = async () => void (await root('POST', 'auth/token/revoke', { token }))
  const { status, body } = await callerOf(vault, token)('GET', 'books/creds/shop')
  assert.equal(status, 410)
  assert.equal(body['data'], undefined)
  await vault.leases.idle()
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('VAULT-3: a token revoked in the same commit in which a grant begins gets nothing', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  for (let i = 0; i < 20; i++) {
    const { token } = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
    const [, answer] = await Promise.all([
      root('POST', 'auth/token/revoke', { token }),
      callerOf(vault, token)('GET', 'books/creds/shop'),
    ])
    assert.notEqual(answer.status, 200)
  }
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('VAULT-3: a wrapped grant keeps its lease, which the unwrapped answer names', async (t) => {
  const { root, vault } = await openWithLedger(t)
  const { status, body } = await root('GET', 'books/creds/shop', undefined, { wrapTtl: '60s' })
  assert.equal(status, 200)
  assert.equal(body['data'], null)
  const { token } = body['wrap_info'] as { token: string }
  const inner = await callerOf(vault, token)('POST', 'sys/wrapping/unwrap')
  assert.match(String(inner.body['lease_id']), /^books\/creds\/shop\//)
  assert.equal(inner.body['renewable'], true)
  assert.equal((await root('POST', 'sys/leases/lookup', { lease_id: inner.body['lease_id'] })).status, 200)
})

test('VAULT-3: a mount is disabled after all that it gave out has ended', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  for (let i = 0; i < 5; i++) await granted(root)
  assert.equal((await root('DELETE', 'sys/mounts/books')).status, 204)
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
  assert.equal((await root('GET', 'books/creds/shop')).status, 404)
})

test('VAULT-3: a mount whose leases cannot be ended stays; forced, they are forgotten and it goes', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  await granted(root)
  ledger.onEnd = away
  const { status, body } = await root('DELETE', 'sys/mounts/books')
  assert.equal(status, 400)
  assert.match(JSON.stringify(body), /failed to revoke .*the ledger is away/)
  ledger.onMake = back
  assert.equal((await root('GET', 'books/creds/shop')).status, 200)
  assert.equal((await root('POST', 'sys/leases/revoke-force/books')).status, 204)
  assert.equal(await vault.leases.count(), 0)
  assert.equal((await root('DELETE', 'sys/mounts/books')).status, 204)
})

test('VAULT-3: a mount that is being disabled grants nothing', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  await granted(root)
  const ending = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  ledger.onEnd = () => {
    asked.resolve()
    return ending.promise
  }
  const disabled = root('DELETE', 'sys/mounts/books')
  await asked.promise
  assert.equal((await root('GET', 'books/creds/shop')).status, 404)
  ending.resolve()
  assert.equal((await disabled).status, 204)
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('VAULT-3: nobody ends the leases of a mount who may not disable it', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  await granted(root)
  const { token } = await tokenFrom(root, { policies: ['default'] })
  assert.equal((await callerOf(vault, token)('DELETE', 'sys/mounts/books')).status, 403)
  assert.equal(ledger.accounts.size, 1)
})

test('VAULT-3: a role that says nothing gets what its mount is tuned to, and no role more than that', async (t) => {
  const { root } = await openWithLedger(t, { ttlSeconds: 0, maxTtlSeconds: 0 })
  assert.equal((await granted(root)).seconds, 768 * 3600)
  await root('POST', 'sys/mounts/books/tune', { default_lease_ttl: '5m', max_lease_ttl: '8m' })
  const { id, seconds } = await granted(root)
  assert.equal(seconds, 300)
  const { body } = await root('POST', 'sys/leases/renew', { lease_id: id, increment: '1h' })
  assert.equal(body['lease_duration'], 480)
  const greedy = await openWithLedger(t, { ttlSeconds: 36_000, maxTtlSeconds: 360_000 })
  await greedy.root('POST', 'sys/mounts/books/tune', { default_lease_ttl: '5m', max_lease_ttl: '8m' })
  assert.equal((await granted(greedy.root)).seconds, 480)
})

test('VAULT-3: of renewals at the same time, the one that is stored is the one outside', async (t) => {
  const { root, ledger, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  clock.advance(minute)
  let outside = ''
  ledger.onExtend = async (_, until) => {
    for (let i = until.getTime() % 7; i > 0; i--) await new Promise((resolve) => setImmediate(resolve))
    outside = until.toISOString()
  }
  const renew = (increment: number) => root('POST', 'sys/leases/renew', { lease_id: id, increment })
  await Promise.all([601, 1201, 607, 900, 1300, 777].map(renew))
  const { body } = await root('POST', 'sys/leases/lookup', { lease_id: id })
  assert.equal((body['data'] as Record<string, unknown>)['expire_time'], outside)
})

test('VAULT-3: a mount goes also when one of its leases, never given out, was to be looked at again', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  ledger.onMake = away
  assert.equal((await root('GET', 'books/creds/shop')).status, 503)
  await vault.leases.idle()
  assert.equal(await vault.leases.count(), 1)
  assert.equal((await root('DELETE', 'sys/mounts/books')).status, 204)
  assert.equal(await vault.leases.count(), 0)
})

test('GOV-1: without a record nothing is made; made and not recorded, it is not told and ends', async (t) => {
  const { root, ledger, vault, store, clock } = await openWithLedger(t)
  const stopAudit = () =>
    store.write((tx) =>
      tx.run(sql`create trigger no_audit before insert on audit_entries
        begin select raise(abort, 'no entry'); end`),
    )
  const startAudit = () => store.write((tx) => tx.run(sql`drop trigger no_audit`))
  await stopAudit()
  assert.notEqual((await root('GET', 'books/creds/shop')).status, 200)
  assert.deepEqual(ledger.calls, [])
  await startAudit()
  ledger.onMake = async () => void (await stopAudit())
  const { status, body } = await root('GET', 'books/creds/shop')
  assert.notEqual(status, 200)
  assert.doesNotMatch(JSON.stringify(body), /made-up/)
  await startAudit()
  await vault.leases.idle()
  for (let i = 0; i < 3; i++) {
    clock.advance(2 * minute)
    await vault.leases.idle()
  }
  assert.equal(ledger.accounts.size, 0)
  assert.equal(await vault.leases.count(), 0)
})

test('VAULT-3: whoever revokes does not wait for ever for a maker that hangs', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const begun = Promise.withResolvers<void>()
  const hang = Promise.withResolvers<void>()
  ledger.onMake = () => {
    begun.resolve()
    return hang.promise
  }
  const asked = root('GET', 'books/creds/shop')
  await begun.promise
  const disabled = root('DELETE', 'sys/mounts/books')
  for (let done = false; !done; ) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(minute)
    done = await Promise.race([disabled.then(() => true), new Promise<false>((r) => setImmediate(r, false))])
  }
  assert.equal((await disabled).status, 400)
  assert.notEqual((await asked).status, 200)
  hang.resolve()
  ledger.onMake = back
  for (let i = 0; i < 3; i++) {
    clock.advance(minute)
    await vault.leases.idle()
  }
  assert.equal(ledger.accounts.size, 0)
  assert.equal((await root('DELETE', 'sys/mounts/books')).status, 204)
})
