import assert from 'node:assert/strict'
import { test } from 'node:test'
import { away, back, granted, openWithLedger, tokenFrom } from '../../../../test/support/ledger.ts'
import { callerOf } from '../../../../test/support/vault-server.ts'

const minute = 60_000

test('VAULT-3: lookup tells times and renewability', async (t) => {
  const { root, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  clock.advance(minute)
  const { status, body } = await root('POST', 'sys/leases/lookup', { lease_id: id })
  assert.equal(status, 200)
  assert.deepEqual(body['data'], {
    id,
    issue_time: '2026-01-01T00:00:00.000Z',
    expire_time: '2026-01-01T00:10:00.000Z',
    last_renewal: null,
    renewable: true,
    ttl: 540,
    path: 'books/creds/shop',
  })
})

test('VAULT-3: lookup refuses what is no lease', async (t) => {
  const { root } = await openWithLedger(t)
  const none = await root('POST', 'sys/leases/lookup', {})
  assert.deepEqual([none.status, none.body['errors']], [400, ['lease_id must be specified']])
  const unknown = await root('POST', 'sys/leases/lookup', { lease_id: 'books/creds/shop/none' })
  assert.deepEqual([unknown.status, unknown.body['errors']], [400, ['invalid lease']])
})

test('VAULT-3: leases are listed by path, folders first to last', async (t) => {
  const { root } = await openWithLedger(t)
  const first = await granted(root)
  await granted(root, 'books/creds/other')
  const keys = async (path: string): Promise<unknown> =>
    ((await root('LIST', `sys/leases/lookup/${path}`)).body['data'] as { keys: string[] } | undefined)?.keys
  assert.deepEqual(await keys(''), ['books/'])
  assert.deepEqual(await keys('books'), ['creds/'])
  assert.deepEqual(await keys('books/creds/'), ['other/', 'shop/'])
  assert.deepEqual(await keys('books/creds/shop'), [first.id.split('/').at(-1)])
  assert.equal((await root('LIST', 'sys/leases/lookup/nowhere')).status, 404)
  await root('POST', 'sys/leases/revoke', { lease_id: first.id })
  assert.deepEqual(await keys('books/creds/'), ['other/'])
})

test('VAULT-3: renewing prolongs the lease here and where it lives, and never beyond its greatest age', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  clock.advance(5 * minute)
  const until: string[] = []
  ledger.onExtend = async (_, at) => void until.push(at.toISOString())
  const plain = await root('POST', 'sys/leases/renew', { lease_id: id })
  assert.deepEqual(
    [
      plain.status,
      plain.body['lease_id'],
      plain.body['lease_duration'],
      plain.body['renewable'],
      plain.body['data'],
    ],
    [200, id, 600, true, null],
  )
  const asked = await root('POST', `sys/leases/renew/${id}`, { increment: '20m' })
  assert.equal(asked.body['lease_duration'], 1200)
  const older = await root('PUT', 'sys/renew', { lease_id: id, increment: 10 })
  assert.equal(older.body['lease_duration'], 10)
  const capped = await root('PUT', `sys/renew/${id}`, { increment: 36_000 })
  assert.equal(capped.body['lease_duration'], 3300)
  assert.match(JSON.stringify(capped.body['warnings']), /exceeded the effective max_ttl/)
  assert.equal(until.at(-1), '2026-01-01T01:00:00.000Z')
  clock.advance(54 * minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 1)
  const { data } = (await root('POST', 'sys/leases/lookup', { lease_id: id })).body as {
    data: Record<string, unknown>
  }
  assert.deepEqual([data['last_renewal'], data['ttl']], ['2026-01-01T00:05:00.000Z', 60])
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('VAULT-3: what is not there, not renewable, over, or refused outside is not renewed', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const refused = async (id: string): Promise<unknown[]> => {
    const { status, body } = await root('POST', 'sys/leases/renew', { lease_id: id })
    return [status, body['errors']]
  }
  assert.deepEqual(await refused(''), [400, ['lease_id must be specified']])
  assert.deepEqual(await refused('books/creds/shop/none'), [400, ['lease not found']])
  const { id } = await granted(root)
  ledger.onExtend = away
  assert.equal((await refused(id))[0], 503)
  const { body } = await root('POST', 'sys/leases/lookup', { lease_id: id })
  assert.equal((body['data'] as Record<string, unknown>)['last_renewal'], null)
  ledger.onEnd = away
  clock.advance(10 * minute)
  await vault.leases.idle()
  assert.deepEqual(await refused(id), [400, ['lease expired']])
  const fixed = await openWithLedger(t, { renewable: false })
  const other = await granted(fixed.root)
  const answer = await fixed.root('POST', 'sys/leases/renew', { lease_id: other.id })
  assert.deepEqual([answer.status, answer.body['errors']], [400, ['lease is not renewable']])
})

test('VAULT-3: a lease that is revoked while it is renewed is not renewed, and ends', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const { id } = await granted(root)
  const revoked = Promise.withResolvers<number>()
  ledger.onExtend = async () => {
    const asked = await root('POST', 'sys/leases/revoke', { lease_id: id, sync: false })
    revoked.resolve(asked.status)
  }
  const { status, body } = await root('POST', 'sys/leases/renew', { lease_id: id })
  assert.deepEqual([status, body['errors']], [400, ['lease expired']])
  assert.ok([202, 204].includes(await revoked.promise))
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('VAULT-3: revoking waits for the end, unless it is told not to', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const first = await granted(root)
  assert.equal((await root('PUT', 'sys/leases/revoke', { lease_id: first.id })).status, 204)
  assert.equal(ledger.accounts.size, 0)
  const second = await granted(root)
  assert.equal((await root('PUT', `sys/leases/revoke/${second.id}`, { sync: false })).status, 202)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  const third = await granted(root)
  assert.equal((await root('PUT', 'sys/revoke', { lease_id: third.id })).status, 204)
  const fourth = await granted(root)
  assert.equal((await root('PUT', `sys/revoke/${fourth.id}`)).status, 204)
  assert.equal(ledger.accounts.size, 0)
  assert.equal((await root('PUT', 'sys/leases/revoke', { lease_id: fourth.id })).status, 204)
  const none = await root('PUT', 'sys/leases/revoke', {})
  assert.deepEqual([none.status, none.body['errors']], [400, ['lease_id must be specified']])
})

test('VAULT-3: a revocation that fails says so, and goes on by itself', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  ledger.onEnd = away
  const { status, body } = await root('PUT', 'sys/leases/revoke', { lease_id: id })
  assert.equal(status, 400)
  assert.match(JSON.stringify(body), /failed to revoke .*the ledger is away/)
  const looked = await root('POST', 'sys/leases/lookup', { lease_id: id })
  assert.match(JSON.stringify(looked.body['data']), /"revoke_error":".*the ledger is away"/)
  assert.equal((looked.body['data'] as Record<string, unknown>)['renewable'], false)
  ledger.onEnd = back
  clock.advance(minute)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
})

test('VAULT-3: a prefix revokes what lies below it, and nothing beside it', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  for (let i = 0; i < 3; i++) await granted(root)
  const kept = await granted(root, 'books/creds/shopping')
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/books/creds/shop')).status, 204)
  assert.deepEqual([...ledger.accounts], [kept.name])
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/books', { sync: false })).status, 202)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  const { id } = await granted(root)
  assert.equal((await root('PUT', `sys/revoke-prefix/${id}`)).status, 204)
  assert.equal(ledger.accounts.size, 0)
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/')).status, 400)
})

test('VAULT-3: force forgets a lease that cannot be ended, and the log says why', async (t) => {
  const { root, ledger, vault, audit } = await openWithLedger(t)
  const { id } = await granted(root)
  ledger.onEnd = away
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/books')).status, 400)
  assert.equal((await root('PUT', 'sys/leases/revoke-force/books')).status, 204)
  assert.equal(await vault.leases.count(), 0)
  const { items } = await audit.page({ limit: 10, order: 'desc' })
  const forced = items.find(({ type, target }) => type === 'lease.ended' && target === `lease:${id}`)
  assert.match(JSON.stringify(forced?.detail), /"forced":true.*the ledger is away/)
})

test('VAULT-3: a prefix below auth/ revokes the tokens that were made there, with their leases', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const { token } = await tokenFrom(root, { policies: ['root'], ttl: '1h' })
  await granted(callerOf(vault, token))
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/auth/userpass')).status, 204)
  assert.equal((await callerOf(vault, token)('GET', 'auth/token/lookup-self')).status, 200)
  assert.equal((await root('PUT', 'sys/leases/revoke-prefix/auth/token/create')).status, 204)
  assert.equal((await callerOf(vault, token)('GET', 'auth/token/lookup-self')).status, 403)
  await vault.leases.idle()
  assert.equal(ledger.accounts.size, 0)
  assert.equal((await root('GET', 'auth/token/lookup-self')).status, 200)
})

test('VAULT-3: leases that will not end are named and counted, by mount', async (t) => {
  const { root, ledger, vault, clock } = await openWithLedger(t)
  const { id } = await granted(root)
  ledger.onEnd = away
  for (let i = 0; i < 60; i++) {
    clock.advance(minute)
    await vault.leases.idle()
  }
  const { body } = await root('GET', 'sys/leases?type=irrevocable')
  const { lease_count: count, leases } = body['data'] as {
    lease_count: number
    leases: Record<string, string>[]
  }
  assert.equal(count, 1)
  assert.equal(leases[0]?.['lease_id'], id)
  assert.match(leases[0]?.['error'] ?? '', /the ledger is away/)
  const accessor = leases[0]?.['mount_id'] ?? ''
  assert.match(accessor, /^ledger_/)
  const counted = await root('GET', 'sys/leases/count?type=irrevocable')
  assert.deepEqual(counted.body['data'], { lease_count: 1, counts: { [accessor]: 1 } })
  assert.equal((await root('GET', 'sys/leases')).status, 400)
  assert.equal((await root('GET', 'sys/leases?type=irrevocable&limit=0')).status, 400)
  assert.equal((await root('POST', 'sys/leases/tidy')).status, 202)
})

test('VAULT-3: the paths that Vault guards with sudo need it here', async (t) => {
  const { root, ledger, vault } = await openWithLedger(t)
  const { id } = await granted(root)
  const policy = 'path "sys/*" { capabilities = ["create", "read", "update", "list"] }'
  await root('POST', 'sys/policies/acl/clerk', { policy })
  const { token } = await tokenFrom(root, { policies: ['clerk'] })
  const clerk = callerOf(vault, token)
  for (const path of [
    'leases/revoke-prefix/books',
    'leases/revoke-force/books',
    'revoke-prefix/books',
    'revoke-force/books',
  ])
    assert.equal((await clerk('PUT', `sys/${path}`)).status, 403, path)
  for (const path of ['sys/leases/lookup', 'sys/leases/lookup/books'])
    assert.equal((await clerk('LIST', path)).status, 403, path)
  assert.equal((await clerk('GET', 'sys/leases?type=irrevocable')).status, 403)
  assert.equal(ledger.accounts.size, 1)
  assert.equal((await clerk('POST', 'sys/leases/lookup', { lease_id: id })).status, 200)
  assert.equal((await clerk('POST', 'sys/leases/revoke', { lease_id: id })).status, 204)
})

test('VAULT-3: every token may look up and renew a lease whose id it knows, and revoke none', async (t) => {
  const { root, vault } = await openWithLedger(t)
  const { id } = await granted(root)
  const { token } = await tokenFrom(root, { policies: ['default'] })
  const anybody = callerOf(vault, token)
  assert.equal((await anybody('POST', 'sys/leases/lookup', { lease_id: id })).status, 200)
  assert.equal((await anybody('POST', 'sys/leases/renew', { lease_id: id })).status, 200)
  assert.equal((await anybody('POST', 'sys/renew', { lease_id: id })).status, 200)
  assert.equal((await anybody('POST', 'sys/leases/revoke', { lease_id: id })).status, 403)
})
