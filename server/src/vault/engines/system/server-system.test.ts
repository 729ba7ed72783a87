import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { authOf, dataOf } from '../../../../test/support/vault-auth.ts'
import { callerOf, openUnsealedVault } from '../../../../test/support/vault-server.ts'
import { Secret } from '../../../core/index.ts'

type Fields = Record<string, unknown>

async function setup(t: TestContext) {
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  const withRules = async (rules: string) => {
    await root('PUT', 'sys/policies/acl/p', { policy: rules })
    const auth = authOf(await root('POST', 'auth/token/create', { policies: ['p'] }))
    return callerOf(world.vault, String(auth['client_token']))
  }
  /** What is not wrapped in Vault's envelope. */
  const raw = async (path: string, token = world.rootToken): Promise<{ type: string; text: string }> => {
    const [bare = '', search = ''] = path.split('?')
    const answer = await world.vault.handle({
      method: 'GET',
      path: bare,
      query: Object.fromEntries(new URLSearchParams(search)),
      token: token ? new Secret(token) : undefined,
      body: undefined,
    })
    assert.equal(answer.status, 200)
    return {
      type: answer.raw?.contentType ?? '',
      text: Buffer.from(answer.raw?.bytes ?? []).toString('utf8'),
    }
  }
  return { ...world, root, withRules, anybody: callerOf(world.vault), raw }
}

test('VAULT-2: a mount moves with all that it holds; its tokens end', async (t) => {
  const { root, anybody } = await setup(t)
  await root('POST', 'secret/data/a', { data: { n: 1 } })
  const moved = await root('POST', 'sys/remount', { from: 'secret', to: 'team/secret' })
  assert.equal(moved.status, 200)
  const id = dataOf(moved)['migration_id']
  assert.deepEqual(dataOf(await root('GET', `sys/remount/status/${id}`)), {
    migration_id: id,
    migration_info: { source_mount: 'secret/', target_mount: 'team/secret/', status: 'success' },
  })
  assert.deepEqual(dataOf(await root('GET', 'team/secret/data/a'))['data'], { n: 1 })
  assert.equal((await root('GET', 'secret/data/a')).status, 404)
  assert.equal((await root('GET', 'sys/remount/status/none')).status, 404)

  await root('POST', 'sys/auth/people', { type: 'userpass' })
  await root('POST', 'auth/people/users/ada', { password: 'a long password' })
  const login = { password: 'a long password' }
  const token = String(authOf(await anybody('POST', 'auth/people/login/ada', login))['client_token'])
  assert.equal((await root('POST', 'sys/remount', { from: 'auth/people', to: 'auth/staff' })).status, 200)
  assert.equal((await root('POST', 'auth/token/lookup', { token })).status, 403)
  assert.equal((await anybody('POST', 'auth/staff/login/ada', login)).status, 200)
})

test('VAULT-2: what cannot be moved stays', async (t) => {
  const { root, withRules } = await setup(t)
  await root('POST', 'sys/mounts/other', { type: 'kv' })
  await root('POST', 'sys/auth/people', { type: 'userpass' })
  for (const [from, to] of [
    ['', 'x'],
    ['secret', ''],
    ['secret ', 'x'],
    ['none', 'x'],
    ['secret', 'other'],
    ['secret', 'other/below'],
    ['secret', 'sys/x'],
    ['secret', 'auth/x'],
    ['sys', 'x'],
    ['cubbyhole', 'x'],
    ['auth/people', 'people'],
    ['auth/token', 'auth/other'],
    ['auth/people', 'auth/token'],
  ])
    assert.equal((await root('POST', 'sys/remount', { from, to })).status, 400, `${from} to ${to}`)
  const weak = await withRules('path "sys/remount" { capabilities = ["update"] }')
  assert.equal((await weak('POST', 'sys/remount', { from: 'other', to: 'x' })).status, 403)
})

test('VAULT-2: a file device writes what happened, with every value as a hash', async (t) => {
  const { root, dataDir, vault, close } = await setup(t)
  const file = join(dataDir, 'audit', 'vault.log')
  const options = { file_path: file, prefix: '@cee: ' }
  assert.equal((await root('PUT', 'sys/audit/file', { type: 'file', options })).status, 204)
  assert.deepEqual(Object.keys(dataOf(await root('GET', 'sys/audit'))).sort(), ['file/', 'keyward/'])
  await root('POST', 'secret/data/a', { data: { key: 'a value', count: 3, on: true } })
  await root('GET', 'secret/data/a')
  await root('GET', 'secret/data/none')
  await root('POST', 'sys/policies/acl/x', { policy: 'nonsense' })
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const text = readFileSync(file, 'utf8')
  for (const value of ['a value', 'nonsense']) assert.equal(text.includes(value), false)
  const lines = text.trimEnd().split('\n')
  assert.ok(lines.every((line) => line.startsWith('@cee: {')))
  const entries = lines.map((line) => JSON.parse(line.slice('@cee: '.length)) as Record<string, Fields>)
  const of = (path: string, type: string) =>
    entries.find((entry) => entry['request']?.['path'] === path && String(entry['type']) === type)
  const hash = dataOf(await root('POST', 'sys/audit-hash/file', { input: 'a value' }))['hash']
  const written = of('secret/data/a', 'request')
  assert.deepEqual(written?.['request']?.['data'], { data: { key: hash, count: 3, on: true } })
  assert.equal(written?.['request']?.['operation'], 'update')
  assert.equal(written?.['auth']?.['display_name'], 'root')
  assert.match(String(written?.['auth']?.['accessor']), /^hmac-sha256:[0-9a-f]{64}$/)
  const refused = of('sys/policies/acl/x', 'response')
  assert.match(String(refused?.['error']), /failed to parse policy/)

  assert.equal((await root('POST', 'sys/audit-hash/keyward', { input: 'x' })).status, 400)
  assert.equal((await root('POST', 'sys/audit-hash/none', { input: 'x' })).status, 400)
  assert.equal((await root('POST', 'sys/audit-hash/file', {})).status, 400)
  assert.equal((await root('DELETE', 'sys/audit/keyward')).status, 400)

  const before = readFileSync(file, 'utf8').length
  assert.equal((await root('DELETE', 'sys/audit/file')).status, 204)
  const after = readFileSync(file, 'utf8').length
  await root('GET', 'secret/data/a')
  assert.equal(readFileSync(file, 'utf8').length, after)
  assert.ok(after > before)
  vault.close()
  await close()
})

test('VAULT-2: a file device that was there before goes on after the vault is opened again, and a lost file is made anew', async (t) => {
  const { root, dataDir, vault } = await setup(t)
  const file = join(dataDir, 'audit', 'vault.log')
  await root('PUT', 'sys/audit/file', { type: 'file', options: { file_path: file } })
  const hash = dataOf(await root('POST', 'sys/audit-hash/file', { input: 'x' }))['hash']
  await vault.seal({ kind: 'person', id: 'p', name: 'p', roles: ['owner'] })
  await vault.openAtStart()
  rmSync(file)
  assert.equal(dataOf(await root('POST', 'sys/audit-hash/file', { input: 'x' }))['hash'], hash)
  assert.match(readFileSync(file, 'utf8'), /audit-hash\/file/)
})

test('VAULT-2: a file device that cannot be written stops nothing: the chained log is the one that counts', async (t) => {
  const { root, dataDir } = await setup(t)
  const folder = join(dataDir, 'audit', 'deep')
  mkdirSync(folder, { recursive: true })
  const options = { file_path: join(folder, 'vault.log') }
  assert.equal((await root('PUT', 'sys/audit/file', { type: 'file', options })).status, 204)
  rmSync(folder, { recursive: true })
  assert.equal((await root('GET', 'sys/mounts')).status, 200)
})

test('VAULT-2: audit devices that would show values, or write elsewhere, are refused', async (t) => {
  const { root, dataDir, withRules } = await setup(t)
  const inside = join(dataDir, 'audit', 'a.log')
  mkdirSync(join(dataDir, 'audit'))
  symlinkSync('/tmp', join(dataDir, 'audit', 'out'))
  for (const body of [
    {},
    { type: 'socket', options: { address: 'x' } },
    { type: 'file' },
    { type: 'file', options: { file_path: '/etc/cron.d/x' } },
    { type: 'file', options: { file_path: 'relative.log' } },
    { type: 'file', options: { file_path: join(dataDir, 'audit', '..', 'keyward.db') } },
    { type: 'file', options: { file_path: join(dataDir, 'audit', 'out', 'x.log') } },
    { type: 'file', options: { file_path: join(dataDir, 'audit', 'none', 'x.log') } },
    { type: 'file', options: { file_path: inside, log_raw: 'true' } },
    { type: 'file', options: { file_path: inside, mode: '9' } },
    { type: 'file', options: { file_path: inside, format: 'jsonx' } },
    { type: 'file', options: { file_path: inside, exclude: '[]' } },
  ])
    assert.equal((await root('PUT', 'sys/audit/file', body)).status, 400, JSON.stringify(body))
  const device = { type: 'file', options: { file_path: 'discard' } }
  assert.equal((await root('PUT', 'sys/audit/keyward', device)).status, 400)
  assert.equal((await root('PUT', 'sys/audit/file', device)).status, 204)
  assert.equal((await root('PUT', 'sys/audit/file/below', device)).status, 400)
  const weak = await withRules('path "sys/audit*" { capabilities = ["read", "update"] }')
  assert.equal((await weak('GET', 'sys/audit')).status, 403)
})

test('VAULT-2: before signing in one sees the mounts that are shown to everybody, and no others', async (t) => {
  const { root, anybody, withRules } = await setup(t)
  await root('POST', 'sys/auth/people', { type: 'userpass', config: { listing_visibility: 'unauth' } })
  await root('POST', 'sys/auth/machines', { type: 'approle' })
  const seen = dataOf(await anybody('GET', 'sys/internal/ui/mounts'))
  assert.deepEqual(seen, {
    auth: { 'people/': { type: 'userpass', description: '', options: {} } },
    secret: {},
  })
  assert.equal((await anybody('GET', 'sys/internal/ui/mounts/auth/people')).status, 200)
  assert.equal((await anybody('GET', 'sys/internal/ui/mounts/secret/a')).status, 403)
  const weak = await withRules('path "secret/data/*" { capabilities = ["read"] }')
  const visible = dataOf(await weak('GET', 'sys/internal/ui/mounts'))
  assert.deepEqual(Object.keys(visible['secret'] as Fields).sort(), ['cubbyhole/', 'secret/', 'sys/'])
  assert.deepEqual(Object.keys(visible['auth'] as Fields).sort(), ['people/', 'token/'])
})

test('VAULT-2: the API describes itself as OpenAPI 3.0.2, as far as the caller sees it', async (t) => {
  const { root, raw } = await setup(t)
  await root('POST', 'sys/mounts/transit', { type: 'transit' })
  await root('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } })
  for (const type of ['approle', 'userpass']) await root('POST', `sys/auth/${type}`, { type })
  for (const query of ['', '?generic_mount_paths=true']) {
    const { type, text } = await raw(`sys/internal/specs/openapi${query}`)
    assert.equal(type, 'application/json')
    const document = JSON.parse(text) as { openapi: string; paths: Record<string, Fields> }
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(document))
    assert.deepEqual([valid, errors], [true, undefined])
    assert.equal(document.openapi, '3.0.2')
    const kv = query ? '/{kv_v2_mount_path}/data/{name}' : '/secret/data/{name}'
    assert.ok(document.paths[kv]?.['get'], kv)
    assert.equal(document.paths['/sys/remount']?.['x-vault-sudo'], true)
    const ids = Object.values(document.paths).flatMap((path) =>
      ['get', 'post', 'delete', 'patch'].flatMap((method) => (path[method] as Fields)?.['operationId'] ?? []),
    )
    assert.equal(new Set(ids).size, ids.length, 'every operation has a name of its own')
  }
  const { text } = await raw('sys/internal/specs/openapi', '')
  const { paths } = JSON.parse(text) as { paths: Fields }
  assert.ok(paths['/sys/health'])
  assert.equal(
    Object.keys(paths).some((path) => path.startsWith('/secret/')),
    false,
  )
})

test('VAULT-2: what the server says about itself', async (t) => {
  const { root, raw, clock, withRules } = await setup(t)
  const catalog = dataOf(await root('GET', 'sys/plugins/catalog'))
  assert.ok((catalog['auth'] as string[]).includes('userpass'))
  assert.ok((catalog['secret'] as string[]).includes('transit'))
  assert.ok((catalog['database'] as string[]).includes('postgresql-database-plugin'))
  assert.deepEqual(dataOf(await root('LIST', 'sys/plugins/catalog/database'))['keys'], catalog['database'])
  assert.equal(dataOf(await root('GET', 'sys/plugins/catalog/secret/kv'))['builtin'], true)
  assert.equal((await root('GET', 'sys/plugins/catalog/secret/none')).status, 404)
  assert.equal((await root('LIST', 'sys/plugins/catalog/none')).status, 400)
  assert.equal((await root('PUT', 'sys/plugins/catalog/secret/x', { command: 'x' })).status, 400)
  assert.equal((await root('PUT', 'sys/plugins/reload/backend', { plugin: 'kv' })).status, 200)

  const history = dataOf(await root('LIST', 'sys/version-history'))
  const [version = ''] = history['keys'] as string[]
  const info = (history['key_info'] as Record<string, Fields>)[version]
  assert.deepEqual(info, {
    timestamp_installed: clock.now().toISOString(),
    build_date: '',
    previous_version: null,
  })
  assert.deepEqual(dataOf(await root('GET', 'sys/internal/counters/tokens')), {
    counters: { service_tokens: { total: 1 } },
  })
  assert.deepEqual(dataOf(await root('GET', 'sys/internal/counters/entities')), {
    counters: { entities: { total: 0 } },
  })
  assert.equal((await root('GET', 'sys/internal/counters/requests')).status, 404)
  assert.equal((await root('GET', 'sys/internal/counters/activity')).status, 204)
  assert.equal(typeof (dataOf(await root('GET', 'sys/host-info'))['memory'] as Fields)['total'], 'number')
  const metrics = await raw('sys/metrics?format=prometheus')
  assert.match(metrics.type, /^text\/plain/)
  assert.match(metrics.text, /^vault_core_unsealed 1$/m)
  assert.match(metrics.text, /^vault_token_count 1$/m)
  const gauges = JSON.parse((await raw('sys/metrics')).text) as { Gauges: Fields[] }
  assert.ok(gauges.Gauges.some(({ Name }) => Name === 'vault.expire.num_leases'))
  const flights = JSON.parse((await raw('sys/in-flight-req')).text) as Record<string, Fields>
  assert.deepEqual(
    Object.values(flights).map((flight) => [flight['request_path'], flight['request_method']]),
    [['/v1/sys/in-flight-req', 'GET']],
  )
  const weak = await withRules('path "sys/metrics" { capabilities = ["deny"] }')
  assert.equal((await weak('GET', 'sys/metrics')).status, 403)
  assert.equal((await weak('GET', 'sys/host-info')).status, 403)
})

test('VAULT-2: settings that are fixed are shown, and a change is refused in words', async (t) => {
  const { root } = await setup(t)
  assert.deepEqual(dataOf(await root('GET', 'sys/config/cors')), { enabled: false })
  assert.equal((await root('PUT', 'sys/config/cors', { allowed_origins: '*' })).status, 400)
  assert.equal((await root('DELETE', 'sys/config/cors')).status, 204)
  assert.deepEqual(dataOf(await root('GET', 'sys/config/auditing/request-headers')), { headers: {} })
  assert.equal((await root('GET', 'sys/config/auditing/request-headers/X-Id')).status, 400)
  assert.equal((await root('PUT', 'sys/config/auditing/request-headers/X-Id', {})).status, 400)
  assert.equal((await root('LIST', 'sys/config/ui/headers')).status, 404)
  assert.equal((await root('PUT', 'sys/config/ui/headers/X-Id', { values: ['x'] })).status, 400)
  assert.equal(
    (dataOf(await root('GET', 'sys/config/state/sanitized'))['storage'] as Fields)['type'],
    'sqlite',
  )
  assert.deepEqual(dataOf(await root('GET', 'sys/replication/status')), { mode: 'disabled' })
  for (const path of [
    'sys/license/status',
    'sys/pprof/heap',
    'sys/raw/core',
    'sys/namespaces',
    'sys/monitor',
  ]) {
    const { status, body } = await root('GET', path)
    assert.equal(status, 404, path)
    assert.match(String((body['errors'] as string[])[0]), /^unsupported path: /)
  }
})

test('VAULT-2: help is for who has a token, of paths that are here; a snapshot and a policy to change have to be there', async (t) => {
  const { root, vault } = await setup(t)
  const help = callerOf(vault)
  assert.equal((await help('GET', 'sys/mounts?help=1')).status, 403)
  assert.match(String((await root('GET', 'sys/mounts?help=1')).body['help']), /Operations: read/)
  const nowhere = await root('GET', 'nowhere/a?help=1')
  assert.deepEqual(nowhere, { status: 404, body: { errors: ['no handler for route "nowhere/a"'] } })
  const empty = await root('POST', 'sys/storage/raft/snapshot', {})
  assert.deepEqual(empty, { status: 400, body: { errors: ['missing request body: the snapshot'] } })
  const text = Buffer.from('no archive').toString('base64')
  assert.equal((await root('POST', 'sys/storage/raft/snapshot-force', { snapshot: text })).status, 400)
  const unknown = await root('PATCH', 'sys/policies/acl/none', { policy: '' })
  assert.deepEqual(unknown, { status: 404, body: { errors: ['policy not found'] } })
})
