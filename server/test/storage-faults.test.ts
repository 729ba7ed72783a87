// What the disk can do to a server: full, damaged, in use by another process. And a vault that nobody has opened yet.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { createDraws } from './support/draws.ts'
import { eventually } from './support/eventually.ts'
import { codeOf, keywardCommand, type RunningServer, scratchFolder, startServer } from './support/server.ts'
import { ended, oneKeyProject, openFindings, pendingApproval, startLeakedKey } from './support/steps.ts'

const draws = createDraws('storage faults')
const healthOf = async (server: RunningServer) => {
  const { status, body } = await server.ask('GET', '/healthz', { token: null })
  return { status, ...(body as { state: string; vault: string; problems: Record<string, string> }) }
}

const store = (server: RunningServer, name: string, value: string) =>
  server.ask('PUT', `/v1/secret/data/${name}`, { body: { data: { value } } })

test('OPS-1: a second process on the same data is refused and says who has it', async (t) => {
  const server = await startServer(t)
  const args = ['server', '--dev', '--listen', '127.0.0.1:0', '--data', server.dataDir]
  const second = await keywardCommand(scratchFolder(t, 'home'), args)
  assert.equal(second.code, 2)
  assert.match(
    second.stderr,
    new RegExp(`another process is using .*in use by process ${server.pid}\\. Stop`),
  )
  assert.equal((await healthOf(server)).state, 'ok')
  // The lock ends with its process, however that ends.
  await server.stop('SIGKILL')
  await startServer(t, { dataDir: server.dataDir, token: server.token })
})

test('OPS-1: a damaged database is told at the next start, and left as it is', async (t) => {
  const server = await startServer(t)
  for (let i = 0; i < 20; i++) assert.equal((await store(server, `s${i}`, 'x'.repeat(4000))).status, 200)
  assert.equal(await server.stop(), 0)
  const file = join(server.dataDir, 'keyward.db')
  const fd = openSync(file, 'r+')
  const pageBytes = 4096
  for (let page = 4; page * pageBytes < statSync(file).size; page += 5)
    writeSync(fd, draws.bytes(pageBytes), 0, pageBytes, page * pageBytes)
  closeSync(fd)
  const damaged = readFileSync(file)
  const args = ['server', '--listen', '127.0.0.1:0', '--data', server.dataDir]
  const { code, stderr, stdout } = await keywardCommand(scratchFolder(t, 'home'), args)
  assert.equal(code, 2, stdout + stderr)
  assert.match(stderr, /^keyward: the database is damaged: .*keep a copy of this file, and restore/)
  assert.doesNotMatch(stderr, / at .*\.ts:\d+/)
  assert.deepEqual(readFileSync(file), damaged)
})

/** Becomes the server on a small disk of its own, which no other process sees. */
const smallDisk = (dataDir: string): string[] => [
  'unshare',
  ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
  '--mount',
  'sh',
  '-c',
  `mount -t tmpfs -o size=16m,mode=0700 none '${dataDir}' && exec "$@"`,
  'sh',
]

function mountMissing(): string | false {
  try {
    const [program = '', ...args] = smallDisk('/mnt')
    execFileSync(program, [...args, 'true'], { stdio: 'ignore' })
    return false
  } catch {
    return 'this kernel lets nobody mount a small disk in a namespace of their own'
  }
}

test('GOV-1, OPS-1: on a full disk nothing is done, health says so, and it goes on by itself', {
  skip: mountMissing(),
}, async (t) => {
  const dataDir = scratchFolder(t)
  const server = await startServer(t, { dataDir, wrap: smallDisk(dataDir) })
  const project = oneKeyProject(t)
  const before = readFileSync(project.file)
  const run = await startLeakedKey(server, project.folder)
  const { id, digest } = await pendingApproval(server, run.id)
  assert.equal((await store(server, 'kept', 'before')).status, 200)
  const agents = (await server.call(api.agents.list, {})).items.length

  const filler = join('/proc', String(server.pid), 'root', dataDir, 'filler')
  fill(filler)
  await eventually(
    async () => (await store(server, 'kept', draws.hex(8000))).status !== 200,
    'the disk to be full',
  )
  const refusals = await Promise.all([
    server.ask('POST', `/api/v1/approvals/${id}/approve`, { body: { digest } }),
    server.ask('POST', '/api/v1/agents', { body: { name: 'not-made' } }),
    server.ask('POST', '/api/v1/scans', { body: { path: project.folder, history: false } }),
  ])
  for (const refusal of refusals) {
    assert.ok([503, 507].includes(refusal.status), JSON.stringify(refusal.body))
    assert.match(codeOf(refusal), /^(?:store\.full|audit\.unavailable)$/)
  }
  const red = await healthOf(server)
  assert.deepEqual([red.status, red.state], [503, 'failing'])
  assert.match(JSON.stringify(red.problems), /full/)
  assert.deepEqual(readFileSync(project.file), before)

  rmSync(filler)
  const green = await eventually(async () => {
    const health = await healthOf(server)
    return health.status === 200 && health
  }, 'health after the disk has room')
  assert.equal(green.state, 'ok')
  assert.equal((await server.call(api.agents.list, {})).items.length, agents)
  assert.equal((await server.call(api.approvals.read, { approvalId: id })).state, 'pending')
  await server.call(api.approvals.approve, { approvalId: id, digest })
  assert.equal((await ended(server, run.id)).state, 'Succeeded')
  assert.match(readFileSync(project.file, 'utf8'), /keyward:/)
  const verified = await server.keyward(['audit', 'verify', '--json'])
  assert.deepEqual([verified.code, JSON.parse(verified.stdout).verified], [0, true], verified.stdout)
})

/** Writes until there is no room, first in large pieces and then in small ones. */
function fill(file: string): void {
  const fd = openSync(file, 'w')
  for (const size of [256 * 1024, 4096, 1]) {
    const piece = Buffer.alloc(size, 1)
    try {
      for (;;) writeSync(fd, piece)
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC')
    }
  }
  closeSync(fd)
}

test('VAULT-1: a vault sealed by shares waits; what needs it is refused, the rest works', async (t) => {
  const server = await startServer(t, { args: ['--seal', 'shamir'], token: 'nobody' })
  const { dataDir } = server
  const local = readFileSync(join(dataDir, 'local.token'), 'utf8').trim()
  const { token } = await server.call(api.session.local, { token: local, kind: 'bearer' })
  const owner = token ?? ''
  const project = oneKeyProject(t)
  const scan = (at: RunningServer, as: string) =>
    at.ask('POST', '/api/v1/scans', { token: as, body: { path: project.folder, history: false } })
  const early = await scan(server, owner)
  assert.equal(early.status, 503, JSON.stringify(early.body))
  assert.match(codeOf(early), /^vault\.(?:uninitialised|sealed)$/)

  const made = await server.ask('PUT', '/v1/sys/init', {
    token: null,
    body: { secret_shares: 3, secret_threshold: 2 },
  })
  const { keys, root_token: root } = made.body as { keys: string[]; root_token: string }
  const unseal = async (at: RunningServer): Promise<void> => {
    for (const key of keys.slice(0, 2))
      assert.equal((await at.ask('PUT', '/v1/sys/unseal', { token: null, body: { key } })).status, 200)
  }
  assert.equal(codeOf(await scan(server, owner)), 'vault.sealed')
  await unseal(server)
  assert.equal(
    (
      await openFindings(
        { ...server, call: (operation, args) => server.call(operation, args, root) },
        project.folder,
      )
    ).length,
    1,
  )

  assert.equal((await server.ask('PUT', '/v1/sys/seal', { token: root })).status, 204)
  const check = async (at: RunningServer): Promise<void> => {
    const refused = [
      await scan(at, owner),
      await at.ask('GET', '/api/v1/secrets', { token: owner }),
      await at.ask('GET', '/api/v1/audit/head', { token: owner }),
    ]
    for (const reply of refused) assert.deepEqual([reply.status, codeOf(reply)], [503, 'vault.sealed'])
    assert.equal((await at.ask('GET', '/v1/secret/data/shop', { token: root })).status, 503)
    for (const path of ['/status', '/findings', '/runs', '/audit', '/agents'])
      assert.equal((await at.ask('GET', `/api/v1${path}`, { token: owner })).status, 200, path)
    const health = await healthOf(at)
    assert.deepEqual([health.status, health.state, health.vault], [200, 'ok', 'sealed'])
    assert.equal((await at.ask('GET', '/v1/sys/health', { token: null })).status, 503)
  }
  await check(server)
  assert.equal(await server.stop(), 0)
  const again = await startServer(t, { dataDir, args: ['--seal', 'shamir'], token: 'nobody' })
  await check(again)
  await unseal(again)
  assert.equal((await scan(again, owner)).status, 200)
})
