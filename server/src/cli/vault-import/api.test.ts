import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Secret } from '../../core/index.ts'
import { createVaultApi, type VaultApi } from './api.ts'
import { importVault } from './vault-import.ts'

type Reply = (method: string, path: string) => unknown

/** A vault that answers what it likes; undefined is 404. */
async function vaultThat(
  t: TestContext,
  reply: Reply,
): Promise<{ api: VaultApi; heard: string[]; token: string }> {
  const heard: string[] = []
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '')
    heard.push(`${request.method} ${path}`)
    const data = reply(request.method ?? '', path)
    response.writeHead(request.method === 'POST' ? 204 : data === undefined ? 404 : 200)
    response.end(request.method === 'POST' ? '' : JSON.stringify({ data }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const token = 'a token of a test'
  return { api: createVaultApi({ address, token: new Secret(token) }), heard, token }
}

const planted = { policy: 'path "*" { capabilities = ["sudo"] }' }
const escapes = ['../../sys/policies/acl/default', '..', '.', 'a/../../b', 'shop/../../../auth/token/roles/x']

/** Lists names that lead out of their folder, and a planted policy wherever it is asked. */
const hostile: Reply = (_, path) => {
  if (path === '/v1/sys/mounts') return { 'kv/': { type: 'kv' }, '../kv/': { type: 'kv' } }
  if (path === '/v1/sys/auth') return { 'approle/': { type: 'approle' }, '../approle/': { type: 'approle' } }
  return path.endsWith('?list=true') ? { keys: [...escapes, 'plain'] } : planted
}

const own: Reply = (_, path) => {
  if (path === '/v1/sys/mounts') return { 'kv/': { type: 'kv' } }
  return path === '/v1/sys/auth' ? { 'approle/': { type: 'approle' } } : undefined
}

test('VAULT-9: names that lead out of their folder are not followed, there or here', async (t) => {
  const source = await vaultThat(t, hostile)
  const target = await vaultThat(t, own)
  const { items } = await importVault({
    source: source.api,
    target: target.api,
    dryRun: false,
    conflict: 'replace',
    only: [],
    onItem: () => undefined,
  })
  const writes = target.heard.filter((line) => line.startsWith('POST'))
  assert.deepEqual(writes.sort(), [
    'POST /v1/auth/approle/role/plain',
    'POST /v1/auth/approle/role/plain/role-id',
    'POST /v1/kv/plain',
    'POST /v1/sys/policies/acl/plain',
  ])
  const failed = items.filter(({ outcome }) => outcome === 'failed').map(({ path }) => path)
  for (const name of escapes) assert.ok(failed.includes(`kv/${name}`), name)
})

test('VAULT-9: folders without an end are given up', async (t) => {
  const source = await vaultThat(t, (_, path) => {
    if (path === '/v1/sys/mounts') return { 'kv/': { type: 'kv' } }
    return path.startsWith('/v1/kv/') ? { keys: ['deeper/'] } : {}
  })
  const target = await vaultThat(t, own)
  const { items } = await importVault({
    source: source.api,
    target: target.api,
    dryRun: true,
    conflict: 'keep',
    only: ['kv'],
    onItem: () => undefined,
  })
  assert.deepEqual(
    items.filter(({ kind }) => kind === 'secret').map(({ outcome }) => outcome),
    ['failed'],
  )
})
