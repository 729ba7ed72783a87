// What the `bao` command and hvac ask of sys/ beside secrets and tokens.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { baoOrSkip } from './support/bao.ts'
import { succeeds as ok, runner } from './support/bao-runner.ts'
import { hvacOrSkip, runHvac } from './support/hvac.ts'
import { openUnsealedVault, serveVault } from './support/vault-server.ts'

test('VAULT-2: bao moves mounts, manages audit devices, lists plugins and helps', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const { vault, rootToken, dataDir } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const bao = runner(t, path, url, rootToken)

  await t.test('secrets move and auth move', async () => {
    await ok(bao('kv', 'put', 'secret/a', 'n=1'))
    assert.match(await ok(bao('secrets', 'move', 'secret', 'team/secret')), /Success! Finished moving/)
    assert.equal((await ok(bao('kv', 'get', '-field=n', '-mount=team/secret', 'a'))).trim(), '1')
    await ok(bao('auth', 'enable', 'userpass'))
    assert.match(await ok(bao('auth', 'move', 'auth/userpass', 'auth/people')), /Success! Finished moving/)
    assert.match(await ok(bao('auth', 'list')), /people\//)
    const taken = await bao('secrets', 'move', 'team/secret', 'sys/x')
    assert.equal(taken.code, 2)
    assert.match(taken.err, /cannot remount to destination/)
  })

  await t.test('audit enable, list, disable', async () => {
    const file = join(dataDir, 'audit', 'audit.log')
    await ok(bao('audit', 'enable', 'file', `file_path=${file}`))
    assert.match(await ok(bao('audit', 'list', '-detailed')), /file\/\s+file/)
    assert.match(await ok(bao('audit', 'list')), /keyward\//)
    const hashed = await ok(bao('write', '-field=hash', 'sys/audit-hash/file', 'input=x'))
    assert.match(hashed, /^hmac-sha256:/)
    assert.match(readFileSync(file, 'utf8'), /"path":"sys\/audit-hash\/file"/)
    await ok(bao('audit', 'disable', 'file'))
    assert.doesNotMatch(await ok(bao('audit', 'list')), /file\//)
    const refused = await bao('audit', 'enable', 'file', 'file_path=/etc/cron.d/x')
    assert.equal(refused.code, 2)
    assert.match(refused.err, /file_path must lie in/)
  })

  await t.test('plugins, counters, version history, metrics and policies', async () => {
    assert.match(await ok(bao('plugin', 'list', 'secret')), /transit/)
    assert.match(await ok(bao('plugin', 'info', 'auth', 'approle')), /builtin\s+true/)
    assert.equal((await bao('plugin', 'register', '-sha256=00', 'auth', 'x')).code, 2)
    assert.match(await ok(bao('version-history')), /\d+\.\d+\.\d+/)
    assert.match(await ok(bao('read', 'sys/internal/counters/tokens')), /counters/)
    assert.match(await ok(bao('list', 'sys/policies/detailed/acl')), /default/)
    assert.match(await ok(bao('read', 'sys/host-info')), /cpu/)
  })

  await t.test('path-help for a path, a mount and what is not here', async () => {
    assert.match(await ok(bao('path-help', 'team/secret/data/a')), /Operations: read, update, patch, delete/)
    assert.match(await ok(bao('path-help', 'sys/remount')), /sudo/)
    assert.match(await ok(bao('path-help', 'team/secret')), /metadata\/\{name\.\.\.\}/)
    assert.match(await ok(bao('path-help', 'sys/raw')), /storage is not given out raw/)
    assert.equal((await bao('path-help', 'nowhere/a')).code, 2)
    assert.equal((await runner(t, path, url, undefined)('path-help', 'sys')).code, 2)
  })

  await t.test('what is not here is refused in words', async () => {
    for (const [args, words] of [
      [['namespace', 'create', 'x'], /namespaces are not supported/],
      [['operator', 'raft', 'remove-peer', 'x'], /there is one server/],
      [['write', 'sys/quotas/lease-count/x', 'max_leases=1'], /a setting of the role/],
    ] as const) {
      const { code, err } = await bao(...args)
      assert.equal(code, 2, args.join(' '))
      assert.match(err, words)
    }
  })
})

test('VAULT-2: hvac moves mounts, manages audit devices, saves and restores the storage, limits rates', async (t) => {
  const packages = await hvacOrSkip(t)
  if (packages === undefined) return
  const { vault, rootToken, dataDir } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  const input = `${rootToken}\n${join(dataDir, 'audit')}`
  const printed = await runHvac(packages, 'hvac_system.py', url, input)
  assert.deepEqual(printed.trim().split('\n'), ['move', 'audit', 'status', 'snapshot', 'limits'])
})
