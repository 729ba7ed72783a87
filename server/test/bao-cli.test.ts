// Keyward's vault as the `bao` command sees it: the real binary against the dialect over HTTP.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { succeeds as ok, runner } from './support/bao-runner.ts'
import { openUnsealedVault, openVault, serveVault } from './support/vault-server.ts'

const generated = (): string => `test-${randomBytes(12).toString('hex')}`

test('VAULT-2: bao works with the vault', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken)
  const jsonBao = runner(t, path, url, rootToken, 'json')
  const json = async (...args: string[]): Promise<Record<string, never>> =>
    JSON.parse(await ok(jsonBao(...args))) as Record<string, never>

  await t.test('status: unsealed is exit code 0', async () => {
    assert.match(await ok(bao('status')), /Sealed\s+false/)
  })

  await t.test('kv put, get, list, patch, delete, undelete, destroy', async () => {
    const value = generated()
    assert.match(await ok(bao('kv', 'put', 'secret/shop/stripe', `key=${value}`)), /version\s+1/)
    assert.equal((await ok(bao('kv', 'get', '-field=key', 'secret/shop/stripe'))).trim(), value)
    await ok(bao('kv', 'put', '-mount=secret', 'shop/mail', 'key=a b', 'other=ü'))
    assert.match(await ok(bao('kv', 'list', 'secret/shop')), /mail\nstripe\n/)
    assert.match(await ok(bao('kv', 'list', 'secret/')), /shop\/\n/)
    await ok(bao('kv', 'patch', 'secret/shop/mail', 'other=c'))
    const got = (await json('kv', 'get', 'secret/shop/mail')) as Record<string, Record<string, unknown>>
    assert.deepEqual(got['data']?.['data'], { key: 'a b', other: 'c' })

    await ok(bao('kv', 'delete', 'secret/shop/stripe'))
    const gone = await bao('kv', 'get', 'secret/shop/stripe')
    assert.match(gone.out, /deletion_time\s+20/)
    assert.doesNotMatch(gone.out, new RegExp(value))
    await ok(bao('kv', 'undelete', '-versions=1', 'secret/shop/stripe'))
    assert.equal((await ok(bao('kv', 'get', '-field=key', 'secret/shop/stripe'))).trim(), value)
    await ok(bao('kv', 'destroy', '-versions=1', 'secret/shop/stripe'))
    assert.match((await bao('kv', 'get', 'secret/shop/stripe')).out, /destroyed\s+true/)
  })

  await t.test('kv metadata, check-and-set and old versions', async () => {
    await ok(bao('kv', 'put', '-cas=0', 'secret/cas', 'a=1'))
    const stale = await bao('kv', 'put', '-cas=0', 'secret/cas', 'a=2')
    assert.match(stale.err, /check-and-set parameter did not match/)
    await ok(bao('kv', 'put', '-cas=1', 'secret/cas', 'a=2'))
    assert.equal((await ok(bao('kv', 'get', '-version=1', '-field=a', 'secret/cas'))).trim(), '1')
    await ok(bao('kv', 'metadata', 'put', '-max-versions=2', '-custom-metadata=owner=shop', 'secret/cas'))
    assert.match(await ok(bao('kv', 'metadata', 'get', 'secret/cas')), /current_version\s+2/)
    await ok(bao('kv', 'metadata', 'delete', 'secret/cas'))
    assert.equal((await bao('kv', 'get', 'secret/cas')).code, 2)
  })

  await t.test('token create, lookup, renew, capabilities and revoke', async () => {
    const made = (await json('token', 'create', '-policy=default', '-ttl=1h')) as Record<
      string,
      Record<string, unknown>
    >
    const token = String(made['auth']?.['client_token'])
    const child = runner(t, path, url, token)
    assert.match(await ok(child('token', 'lookup')), /policies\s+\[default\]/)
    await ok(child('token', 'renew'))
    assert.match(await ok(child('token', 'capabilities', 'secret/data/shop')), /deny/)
    assert.match(
      await ok(bao('token', 'lookup', '-accessor', String(made['auth']?.['accessor']))),
      /ttl\s+59m|ttl\s+1h/,
    )
    assert.match(
      await ok(bao('list', 'auth/token/accessors')),
      new RegExp(String(made['auth']?.['accessor'])),
    )
    await ok(bao('token', 'revoke', token))
    const after = await child('token', 'lookup')
    assert.equal(after.code, 2)
    assert.match(after.err, /permission denied/)
  })

  await t.test('policy write, read, list, delete; and it holds', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'keyward-policy-')), 'shop.hcl')
    t.after(() => rmSync(join(file, '..'), { recursive: true, force: true }))
    writeFileSync(file, 'path "secret/data/shop/*" {\n  capabilities = ["read"]\n}\n')
    await ok(bao('policy', 'write', 'shop', file))
    assert.match(await ok(bao('policy', 'list')), /default\nroot\nshop/)
    assert.match(await ok(bao('policy', 'read', 'shop')), /secret\/data\/shop/)
    const token = (await ok(bao('token', 'create', '-policy=shop', '-field=token'))).trim()
    const reader = runner(t, path, url, token)
    await ok(reader('kv', 'get', 'secret/shop/mail'))
    const refused = await reader('kv', 'put', 'secret/shop/mail', 'key=x')
    assert.equal(refused.code, 2)
    assert.match(refused.err, /permission denied/)
    await ok(bao('policy', 'delete', 'shop'))
    assert.equal((await bao('policy', 'read', 'shop')).code, 2)
    assert.equal((await reader('kv', 'get', 'secret/shop/mail')).code, 2)
    writeFileSync(file, 'path "x" {\n  capabilities = ["raed"]\n}\n')
    assert.match(
      (await bao('policy', 'write', 'bad', file)).err,
      /line 2, column 3: .*invalid capability "raed"/,
    )
  })

  await t.test('secrets enable, list, tune, disable: KV version 1', async () => {
    await ok(bao('secrets', 'enable', '-path=old', '-version=1', 'kv'))
    await ok(bao('kv', 'put', 'old/a/b', 'k=v'))
    assert.equal((await ok(bao('kv', 'get', '-field=k', 'old/a/b'))).trim(), 'v')
    assert.match(await ok(bao('kv', 'list', 'old')), /a\//)
    await ok(bao('secrets', 'tune', '-description=older things', 'old'))
    assert.match(await ok(bao('secrets', 'list')), /old\/.*older things/)
    await ok(bao('secrets', 'disable', 'old'))
    assert.equal((await bao('kv', 'get', 'old/a/b')).code, 2)
  })

  await t.test('a wrong token and no token are refused', async () => {
    const refused = await runner(t, path, url, generated())('kv', 'get', 'secret/shop/mail')
    assert.equal(refused.code, 2)
    assert.match(refused.err, /permission denied/)
    assert.equal((await runner(t, path, url, undefined)('kv', 'list', 'secret/')).code, 2)
  })

  await t.test('operator seal: everything answers 503 and status is exit code 2', async () => {
    await ok(bao('operator', 'seal'))
    assert.match((await bao('kv', 'get', 'secret/shop/mail')).err, /Vault is sealed/)
    assert.equal((await bao('status')).code, 2)
  })
})

test('VAULT-1: bao initialises and unseals a vault with shares', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { vault } = await openVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, undefined)
  assert.equal((await bao('status')).code, 2)
  const made = JSON.parse(
    await ok(bao('operator', 'init', '-key-shares=3', '-key-threshold=2', '-format=json')),
  ) as { unseal_keys_b64: string[]; root_token: string }
  assert.equal(made.unseal_keys_b64.length, 3)
  assert.match((await bao('operator', 'init')).err, /already initialized/)
  const [first = '', , third = ''] = made.unseal_keys_b64
  assert.match(await ok(bao('operator', 'unseal', first)), /Unseal Progress\s+1\/2/)
  assert.match(await ok(bao('operator', 'unseal', third)), /Sealed\s+false/)
  await ok(runner(t, path, url, made.root_token)('token', 'lookup'))
})
