// Leases as the `bao` command and hvac look up, renew and revoke them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { runner, succeeds } from './support/bao-runner.ts'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { away, openWithLedger } from './support/ledger.ts'
import { serveVault } from './support/vault-server.ts'

test('VAULT-2, VAULT-3: bao lease', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { vault, rootToken, ledger } = await openWithLedger(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken)
  const grant = async (role = 'shop'): Promise<string> =>
    (await succeeds(bao('read', '-field=lease_id', `books/creds/${role}`))).trim()

  await t.test('read shows the lease; lookup and renew', async () => {
    const shown = await succeeds(bao('read', 'books/creds/shop'))
    assert.match(shown, /lease_id\s+books\/creds\/shop\/\w{24}/)
    assert.match(shown, /lease_duration\s+10m/)
    assert.match(shown, /lease_renewable\s+true/)
    const id = await grant()
    assert.match(await succeeds(bao('lease', 'lookup', id)), /ttl\s+10m/)
    const renewed = await succeeds(bao('lease', 'renew', '-increment=30m', id))
    assert.match(renewed, /lease_id\s+books/)
    assert.match(renewed, /lease_duration\s+30m/)
    assert.match((await bao('lease', 'lookup', 'books/creds/shop/none')).err, /invalid lease/)
    assert.match((await bao('lease', 'renew', 'books/creds/shop/none')).err, /lease not found/)
    assert.match(await succeeds(bao('list', 'sys/leases/lookup/books/creds/shop')), /\w{24}/)
  })

  await t.test('revoke, at once and later', async () => {
    const before = ledger.accounts.size
    assert.match(await succeeds(bao('lease', 'revoke', '-sync', await grant())), /Success! Revoked lease/)
    assert.equal(ledger.accounts.size, before)
    assert.match(
      await succeeds(bao('lease', 'revoke', await grant())),
      /All revocation operations queued successfully/,
    )
    await vault.leases.idle()
    assert.equal(ledger.accounts.size, before)
  })

  await t.test('revoke by prefix, and by force when the other side is gone', async () => {
    await succeeds(bao('lease', 'revoke', '-sync', '-prefix', 'books/creds/shop'))
    assert.equal(ledger.accounts.size, 0)
    await grant('other')
    ledger.onEnd = away
    const failed = await bao('lease', 'revoke', '-sync', '-prefix', 'books')
    assert.equal(failed.code, 2)
    assert.match(failed.err, /the ledger is away/)
    assert.match(await succeeds(bao('lease', 'revoke', '-force', '-prefix', 'books')), /Force revoked/)
    assert.equal(await vault.leases.count(), 0)
    ledger.onEnd = async () => undefined
    // What was forced is still there: that is what force means.
    assert.equal(ledger.accounts.size, 1)
    ledger.accounts.clear()
  })

  await t.test('a wrapped credential', async () => {
    const token = await succeeds(bao('read', '-wrap-ttl=1m', '-field=wrapping_token', 'books/creds/shop'))
    assert.match(await succeeds(bao('unwrap', token.trim())), /lease_id\s+books\/creds\/shop/)
  })

  await t.test('a token takes its leases along', async () => {
    const made = await succeeds(bao('token', 'create', '-ttl=1h', '-field=token'))
    await succeeds(runner(t, path, url, made.trim())('read', 'books/creds/shop'))
    const before = ledger.accounts.size
    await succeeds(bao('token', 'revoke', made.trim()))
    await vault.leases.idle()
    assert.equal(ledger.accounts.size, before - 1)
  })

  await t.test('secrets disable ends what the mount gave out', async () => {
    await grant()
    await succeeds(bao('secrets', 'disable', 'books'))
    assert.equal(ledger.accounts.size, 0)
  })
})

test('VAULT-2, VAULT-3: hvac and leases', async (t) => {
  const packages = await hvacOrSkip(t)
  if (packages === undefined) return
  const { vault, rootToken, ledger } = await openWithLedger(t)
  const { url } = await serveVault(t, vault)
  assert.equal((await runHvac(packages, 'hvac_leases.py', url, rootToken)).trim(), 'leases')
  assert.equal(ledger.accounts.size, 0)
})
