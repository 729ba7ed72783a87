// Snapshots of the vault as the `bao` command saves and restores them.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Secret } from '../src/core/index.ts'
import { baoOrSkip } from './support/bao.ts'
import { succeeds as ok, runner } from './support/bao-runner.ts'
import { callerOf, openUnsealedVault, serveVault, type VaultWorld } from './support/vault-server.ts'
import { temporaryFolder } from './support/world.ts'

async function snapshotOf({ vault }: Pick<VaultWorld, 'vault'>, rootToken: string): Promise<Buffer> {
  const { status, raw } = await vault.handle({
    method: 'GET',
    path: 'sys/storage/raft/snapshot',
    query: {},
    token: new Secret(rootToken),
    body: undefined,
  })
  assert.equal(status, 200)
  return Buffer.from(raw?.bytes ?? [])
}

/** A vault that opens by itself does so in its own time. */
async function opened({ vault }: Pick<VaultWorld, 'vault'>): Promise<void> {
  while (vault.status().sealed) await new Promise((resolve) => setImmediate(resolve))
}

test('VAULT-7: bao saves a snapshot and restores it; what came later is gone, tokens and leases are those of then', async (t) => {
  const path = await baoOrSkip(t)
  if (path === undefined) return
  const world = await openUnsealedVault(t)
  const { url } = await serveVault(t, world.vault)
  const bao = runner(t, path, url, world.rootToken)
  await ok(bao('kv', 'put', 'secret/a', 'n=1'))
  const early = (await ok(bao('token', 'create', '-policy=default', '-field=token'))).trim()
  const file = join(temporaryFolder(t), 'vault.snap')
  await ok(bao('operator', 'raft', 'snapshot', 'save', file))
  assert.equal(readFileSync(file).includes('secret'), false)
  await ok(bao('kv', 'put', 'secret/a', 'n=2'))
  await ok(bao('secrets', 'enable', 'transit'))
  const late = (await ok(bao('token', 'create', '-policy=default', '-field=token'))).trim()
  await ok(bao('token', 'revoke', early))

  await ok(bao('operator', 'raft', 'snapshot', 'restore', file))
  await opened(world)
  assert.equal((await ok(bao('kv', 'get', '-field=n', 'secret/a'))).trim(), '1')
  assert.doesNotMatch(await ok(bao('secrets', 'list')), /transit/)
  assert.match(await ok(runner(t, path, url, early)('token', 'lookup')), /default/)
  assert.equal((await runner(t, path, url, late)('token', 'lookup')).code, 2)
  const { items } = await world.audit.page({ limit: 200, order: 'desc' })
  const restored = items.find(({ target }) => target === 'path:sys/storage/raft/snapshot')
  assert.deepEqual(restored?.detail, { operation: 'update', note: { restored: true, force: false } })

  const broken = join(temporaryFolder(t), 'broken.snap')
  writeFileSync(broken, readFileSync(file).subarray(0, 500))
  assert.equal((await bao('operator', 'raft', 'snapshot', 'restore', broken)).code, 2)
  assert.equal((await ok(bao('kv', 'get', '-field=n', 'secret/a'))).trim(), '1')
})

test('VAULT-7: the snapshot of another vault is refused unless it is forced, and then that vault’s keys open it', async (t) => {
  const shamir = { seal: { seal: 'shamir', shares: 1, threshold: 1 } } as const
  const theirs = await openUnsealedVault(t, shamir)
  const their = callerOf(theirs.vault, theirs.rootToken)
  await their('POST', 'secret/data/a', { data: { n: 'theirs' } })
  const snapshot = (await snapshotOf(theirs, theirs.rootToken)).toString('base64')

  const ours = await openUnsealedVault(t, shamir)
  const root = callerOf(ours.vault, ours.rootToken)
  const refused = await root('POST', 'sys/storage/raft/snapshot', { snapshot })
  assert.equal(refused.status, 400)
  assert.match(
    String((refused.body['errors'] as string[])[0]),
    /different set of unseal keys.*snapshot-force/,
  )
  assert.equal((await root('POST', 'sys/storage/raft/snapshot-force', { snapshot })).status, 204)
  assert.equal(ours.vault.status().sealed, true)
  await assert.rejects(ours.vault.unseal(new Secret(ours.shares[0] ?? '')))
  await ours.vault.unseal(new Secret(theirs.shares[0] ?? ''))
  const here = callerOf(ours.vault, theirs.rootToken)
  assert.deepEqual((await here('GET', 'secret/data/a')).body['data'], {
    ...((await their('GET', 'secret/data/a')).body['data'] as object),
  })
  assert.equal((await root('GET', 'secret/data/a')).status, 403)
})

test('VAULT-7: a snapshot that was altered, cut off or made up is refused, and needs permission', async (t) => {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  const good = await snapshotOf(world, world.rootToken)
  const plain = gunzipSync(good)
  const altered = Buffer.from(plain)
  altered[600] = (altered[600] ?? 0) ^ 1
  const header = Buffer.from(plain)
  header[3] = 1
  for (const bytes of [
    Buffer.from('x'),
    good.subarray(0, -20),
    gzipSync(Buffer.alloc(0)),
    gzipSync(Buffer.alloc(2048)),
    gzipSync(plain.subarray(0, 1024)),
    gzipSync(altered),
    gzipSync(header),
  ])
    for (const path of ['sys/storage/raft/snapshot', 'sys/storage/raft/snapshot-force'])
      assert.equal((await root('POST', path, { snapshot: bytes.toString('base64') })).status, 400)
  assert.equal((await root('POST', 'sys/storage/raft/snapshot', {})).status, 400)
  const made = await root('POST', 'auth/token/create', { policies: ['default'] })
  const weak = callerOf(world.vault, String((made.body['auth'] as Record<string, unknown>)['client_token']))
  assert.equal((await weak('GET', 'sys/storage/raft/snapshot')).status, 403)
  assert.equal((await weak('POST', 'sys/storage/raft/snapshot', { snapshot: '' })).status, 403)
  assert.equal(world.vault.status().sealed, false)
})
