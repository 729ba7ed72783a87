// Backups of the real server: made while it works, verified, restored elsewhere, and interrupted at the worst moments.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from './support/eventually.ts'
import { launcher } from './support/keyward-command.ts'
import { createDatabase, postgresBinaries, startPostgres } from './support/postgres.ts'
import {
  fromJson,
  keywardCommand,
  newRootToken,
  type RunningServer,
  scratchFolder,
  startServer,
} from './support/server.ts'

type Fields = Record<string, unknown>

async function configured(server: RunningServer, home: string) {
  const key = join(home, 'backup.key')
  const made = await keywardCommand(home, ['backup', 'key', '--out', key])
  assert.equal(made.code, 0, made.stderr)
  const recipient = made.stdout.trim()
  const set = await server.keyward(['backup', 'configure', '--recipient', recipient, '--keep', '3'])
  assert.equal(set.code, 0, set.stderr)
  return { key, folder: join(server.dataDir, 'backups') }
}

async function createBackup(server: RunningServer): Promise<string> {
  const { code, stdout, stderr } = await server.keyward(['backup', 'create'])
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

const write = (server: RunningServer, path: string, data: Fields): Promise<unknown> =>
  server.ask('POST', `/v1/secret/data/${path}`, { body: { data } })

async function read(server: RunningServer, path: string): Promise<unknown> {
  const { body } = await server.ask('GET', `/v1/secret/data/${path}`)
  return ((body as Fields)['data'] as Fields | undefined)?.['data']
}

/** A certificate with a lease, which needs nothing outside the server. */
async function leased(server: RunningServer): Promise<{ lease: string; serial: string }> {
  const ask = async (path: string, body: Fields): Promise<Fields> => {
    const answer = await server.ask('POST', `/v1/${path}`, { body })
    assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`)
    return (answer.body ?? {}) as Fields
  }
  await ask('sys/mounts/pki', { type: 'pki' })
  await ask('pki/root/generate/internal', { common_name: 'a.test', key_type: 'ec' })
  await ask('pki/roles/web', { allow_any_name: true, key_type: 'ec', generate_lease: true, ttl: '1h' })
  const issued = await ask('pki/issue/web', { common_name: 'b.a.test' })
  return {
    lease: String(issued['lease_id']),
    serial: String((issued['data'] as Fields)['serial_number']),
  }
}

const isRevoked = async (server: RunningServer, serial: string): Promise<boolean> => {
  const { body } = await server.ask('GET', `/v1/pki/cert/${serial}`)
  return Number(((body as Fields)['data'] as Fields)['revocation_time']) > 0
}

test('VAULT-7: a server is backed up while it works, and restored elsewhere with its secrets, tokens, leases and proof', async (t) => {
  const token = newRootToken()
  const home = scratchFolder(t, 'home')
  const server = await startServer(t, { token })
  const { key } = await configured(server, home)
  await write(server, 'shop', { n: 1 })
  const made = await server.ask('POST', '/v1/auth/token/create', { body: { policies: ['default'] } })
  const child = String(((made.body as Fields)['auth'] as Fields)['client_token'])
  const agent = await server.keyward(['agents', 'register', 'builder', '--json'])
  assert.equal(agent.code, 0, agent.stderr)
  const { lease, serial } = await leased(server)
  const file = await createBackup(server)
  await write(server, 'shop', { n: 2 })
  const revoke = { body: { lease_id: lease, sync: true } }
  assert.equal((await server.ask('POST', '/v1/sys/leases/revoke', revoke)).status, 204)
  assert.equal(await isRevoked(server, serial), true)

  const verified = await keywardCommand(home, ['backup', 'verify', file, '--identity', key, '--json'])
  assert.equal(verified.code, 0, verified.stderr)
  const report = fromJson(verified.stdout) as Fields
  assert.deepEqual([report['verified'], (report['audit'] as Fields)['signed']], [true, true])
  assert.match((await server.ask('GET', '/metrics')).body as string, /^keyward_backup_up 1$/m)
  await server.stop()

  const dataDir = scratchFolder(t)
  const args = ['backup', 'restore', file, '--identity', key, '--data', dataDir]
  const restored = await keywardCommand(home, args)
  assert.equal(restored.code, 0, restored.stderr)
  const again = await keywardCommand(home, args)
  assert.equal(again.code, 2)
  assert.match(again.stderr, /not empty/)

  const copy = await startServer(t, { token, dataDir })
  assert.deepEqual(await read(copy, 'shop'), { n: 1 })
  const lookup = await copy.ask('GET', '/v1/auth/token/lookup-self', { token: child })
  assert.equal(lookup.status, 200)
  assert.match((await copy.keyward(['agents', 'list'])).stdout, /builder/)
  // What was ended after the backup lives again, as its lease says, and can be ended.
  const found = await copy.ask('POST', '/v1/sys/leases/lookup', { body: { lease_id: lease } })
  assert.equal(found.status, 200, JSON.stringify(found.body))
  assert.equal(await isRevoked(copy, serial), false)
  assert.equal((await copy.ask('POST', '/v1/sys/leases/revoke', revoke)).status, 204)
  assert.equal(await isRevoked(copy, serial), true)
  const proof = await copy.keyward(['audit', 'verify'])
  assert.equal(proof.code, 0, proof.stdout + proof.stderr)
  const log = await copy.keyward(['audit', 'list', '--type', 'backup.restored', '--json'])
  assert.equal((fromJson(log.stdout) as { items: unknown[] }).items.length, 1)
})

test('VAULT-7: a server that is killed while it writes a backup leaves no half file under the final name', async (t) => {
  const token = newRootToken()
  const home = scratchFolder(t, 'home')
  const dataDir = scratchFolder(t)
  let server = await startServer(t, { token, dataDir })
  const { key, folder } = await configured(server, home)
  for (let i = 0; i < 15; i++) await write(server, `big/${i}`, { v: 'x'.repeat(200_000) })
  const parts = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.part'))
  const asked = server.keyward(['backup', 'create'])
  await eventually(async () => parts().length > 0, 'the backup to begin')
  await server.stop('SIGKILL')
  assert.notEqual((await asked).code, 0)
  const final = readdirSync(folder).filter((name) => name.endsWith('.age'))
  for (const name of final)
    assert.equal(
      (await keywardCommand(home, ['backup', 'verify', join(folder, name), '--identity', key])).code,
      0,
    )
  server = await startServer(t, { token, dataDir })
  assert.deepEqual(parts(), [])
  const file = await createBackup(server)
  assert.equal((await keywardCommand(home, ['backup', 'verify', file, '--identity', key])).code, 0)
})

test('VAULT-7: a restore that is killed in the middle starts no server, and is repeated', async (t) => {
  const token = newRootToken()
  const home = scratchFolder(t, 'home')
  const server = await startServer(t, { token })
  const { key } = await configured(server, home)
  for (let i = 0; i < 15; i++) await write(server, `big/${i}`, { v: 'x'.repeat(200_000) })
  const file = await createBackup(server)
  await server.stop()

  const dataDir = scratchFolder(t)
  const args = ['backup', 'restore', file, '--identity', key, '--data', dataDir]
  const child = spawn(process.execPath, [launcher, ...args], { cwd: home, stdio: 'ignore' })
  const ended = once(child, 'exit')
  await eventually(async () => existsSync(join(dataDir, 'restore.unfinished')), 'the restore to begin')
  child.kill('SIGKILL')
  await ended
  const refused = await keywardCommand(home, ['server', '--listen', '127.0.0.1:0', '--data', dataDir])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /has not come to its end/)
  const repeated = await keywardCommand(home, args)
  assert.equal(repeated.code, 0, repeated.stderr)
  const copy = await startServer(t, { token, dataDir })
  assert.equal(((await read(copy, 'big/14')) as Fields)['v'], 'x'.repeat(200_000))
})

test('VAULT-7: the way from the embedded database to PostgreSQL is a backup', async (t) => {
  if (!postgresBinaries()) return t.skip('PostgreSQL is not installed')
  const token = newRootToken()
  const home = scratchFolder(t, 'home')
  const server = await startServer(t, { token })
  const { key } = await configured(server, home)
  await write(server, 'shop', { n: 1 })
  const file = await createBackup(server)
  await server.stop()
  const env = { KEYWARD_DATABASE_URL: await createDatabase(await startPostgres(t)) }
  const dataDir = scratchFolder(t)
  const args = ['backup', 'restore', file, '--identity', key, '--data', dataDir]
  const restored = await keywardCommand(home, args, { env })
  assert.equal(restored.code, 0, restored.stderr)
  const used = await keywardCommand(home, [...args, '--replace'], { env })
  assert.match(used.stderr, /not empty/)
  const copy = await startServer(t, { token, dataDir, env })
  assert.deepEqual(await read(copy, 'shop'), { n: 1 })
  await write(copy, 'shop', { n: 2 })
  assert.equal((await copy.keyward(['audit', 'verify'])).code, 0)
})

test('VAULT-7: a key file is not written over, and who may not make backups is refused', async (t) => {
  const home = scratchFolder(t, 'home')
  const key = join(home, 'backup.key')
  writeFileSync(key, 'older', { mode: 0o600 })
  assert.equal((await keywardCommand(home, ['backup', 'key', '--out', key])).code, 2)
  const server = await startServer(t)
  const unset = await server.keyward(['backup', 'create'])
  assert.equal(unset.code, 2)
  assert.match(unset.stderr, /nobody has said for whom/)
  const wrong = await server.keyward(['backup', 'configure', '--recipient', 'age1nothing'])
  assert.equal(wrong.code, 2)
  const made = await server.ask('POST', '/v1/auth/token/create', { body: { policies: ['default'] } })
  const weak = String(((made.body as Fields)['auth'] as Fields)['client_token'])
  assert.equal((await server.ask('POST', '/api/v1/backups', { token: weak })).status, 403)
})
