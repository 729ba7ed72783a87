// The command line against the real server, as a person signs in and works with it.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { keywardCommand, type RunningServer, scratchFolder, startServer } from './support/server.ts'
import { oneKeyProject } from './support/steps.ts'

type Said = { code: number; stdout: string; stderr: string }

/** A user of this machine with a home of their own, not signed in. */
function user(t: TestContext, server: RunningServer) {
  const home = scratchFolder(t, 'home')
  const env = { KEYWARD_ADDRESS: server.address, KEYWARD_DATA: server.dataDir }
  const run = (args: string[], more: { env?: Record<string, string>; input?: string } = {}): Promise<Said> =>
    keywardCommand(home, args, { ...more, env: { ...env, ...more.env } })
  return {
    home,
    run,
    /** A command that works; what it writes with --json. */
    async json(...args: string[]) {
      const { code, stdout, stderr } = await run([...args, '--json'])
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
      return JSON.parse(stdout)
    },
    /** A command that is refused: with --json the problem is the last line of standard error. */
    async refused(...args: string[]) {
      const { code, stdout, stderr } = await run([...args, '--json'])
      assert.equal(code, 2, `${args.join(' ')}: ${stdout}`)
      return JSON.parse(stderr.trim().split('\n').at(-1) ?? '').code as string
    },
  }
}

test('CLI-1, IDENT-1: signing in, by the local token and by a code, and out again', async (t) => {
  const server = await startServer(t)
  const { run, json, refused, home } = user(t, server)
  assert.equal(await refused('runs', 'list'), 'session.required')
  const { session } = await json('login', '--local')
  assert.deepEqual(session.roles, ['owner'])
  const kept = join(home, '.config', 'keyward', 'credentials.json')
  assert.equal(statSync(kept).mode & 0o777, 0o600)
  assert.deepEqual((await json('runs', 'list')).items, [])
  await json('logout')
  assert.equal(await refused('runs', 'list'), 'session.required')

  const link = await run(['login', '--link'])
  assert.match(link.stdout, /^http:\/\/127\.0\.0\.1:\d+\/#code=\S+\n$/)
  const byCode = await run(['login', '--json'], { input: link.stdout })
  assert.equal(byCode.code, 0, byCode.stderr)
  assert.ok(!byCode.stdout.includes('kws_'), 'the session token is shown')
  assert.equal((await json('status')).status.vault.sealed, false)
  const again = await run(['login', '--json'], { input: link.stdout })
  assert.deepEqual([again.code, JSON.parse(again.stderr).code], [2, 'session.code_invalid'])
  const nowhere = await run(['login', '--local', '--data', scratchFolder(t), '--json'])
  assert.deepEqual([nowhere.code, JSON.parse(nowhere.stderr).code], [2, 'session.code_invalid'])
})

test('CLI-1, WORK-3: a leaked key from scan to undo, by hand', async (t) => {
  const server = await startServer(t)
  const project = oneKeyProject(t)
  const before = readFileSync(project.file)
  const { run, json, refused } = user(t, server)
  await json('login', '--local')

  const scan = await json('scans', 'start', project.folder)
  assert.deepEqual([scan.state, scan.findings], ['finished', 1])
  const [finding] = (await json('findings', 'list', '--state', 'open')).items
  assert.deepEqual(await json('findings', 'show', finding.id), finding)
  const preview = await json('findings', 'preview', finding.id)
  assert.match(preview.files[0].lines[0].after, /keyward:\/\//)
  const denied = await json('findings', 'import', finding.id, '--yes')
  assert.match(denied.state, /^(?:Running|AwaitingApproval)$/)
  const first = await waitForApproval(json, denied.id)
  assert.equal((await json('deny', first.id, '--yes', '--reason', 'not yet')).state, 'denied')
  assert.equal((await run(['runs', 'watch', denied.id])).code, 1)
  assert.deepEqual(readFileSync(project.file), before)

  const started = await json('findings', 'import', '--all-open', '--yes')
  const approval = await waitForApproval(json, started.id)
  assert.equal((await json('approvals', 'show', approval.id)).digest, approval.digest)
  assert.equal(await refused('approve', approval.id, '--yes', '--digest', '0'.repeat(64)), 'approval.void')
  const withoutTerminal = await run(['approve', approval.id])
  assert.notEqual(withoutTerminal.code, 0, 'nobody was asked')
  const approved = await json('approve', approval.id, '--yes', '--digest', approval.digest)
  assert.deepEqual([approved.state, approved.mode], ['approved', 'self'])
  assert.equal(await refused('approve', approval.id, '--yes'), 'approval.answered')
  assert.equal((await json('runs', 'watch', started.id)).state, 'Succeeded')
  assert.equal((await json('runs', 'show', started.id)).state, 'Succeeded')
  assert.deepEqual(
    (await json('runs', 'list', '--state', 'Succeeded')).items.map(({ id }: { id: string }) => id),
    [started.id],
  )
  assert.match(readFileSync(project.file, 'utf8'), /keyward:/)

  assert.deepEqual((await json('findings', 'undo', started.id)).files, ['.env'])
  assert.deepEqual(readFileSync(project.file), before)
  const text = await run(['findings', 'list'])
  assert.ok(!text.stdout.includes(project.value))
})

type Json = (...args: string[]) => Promise<{ items: { id: string; runId: string; digest: string }[] }>

async function waitForApproval(json: Json, runId: string) {
  for (let tries = 0; tries < 100; tries++) {
    const { items } = await json('approvals', 'list', '--state', 'pending')
    const found = items.find((approval) => approval.runId === runId)
    if (found) return found
  }
  throw new Error(`no approval for ${runId}`)
}

test('CLI-1, VAULT-9: secrets, references in a program, and what a program answers', async (t) => {
  const server = await startServer(t)
  const { run, json, refused, home } = user(t, server)
  await json('login', '--local')
  const value = `test-value-${process.pid}`
  await server.ask('PUT', '/v1/secret/data/shop/stripe', { body: { data: { value, other: 'x' } } })
  assert.deepEqual(
    (await json('secrets', 'list', 'secret/shop/')).items.map(({ name }: { name: string }) => name),
    ['stripe'],
  )
  assert.deepEqual((await json('secrets', 'show', 'secret/shop/stripe')).fields, ['other', 'value'])
  assert.equal((await json('secrets', 'reveal', 'secret/shop/stripe')).value, value)
  assert.equal(await refused('secrets', 'reveal', 'secret/shop/none'), 'secret.not_found')

  const reference = 'keyward://secret/shop/stripe#value'
  writeFileSync(join(home, '.env'), `KEY="${reference}"\n`)
  const print = ['run', '--', process.execPath, '-e', 'console.log(process.env.KEY); process.exit(7)']
  const ran = await run(print)
  assert.deepEqual([ran.code, ran.stdout], [7, `${value}\n`])
  const missing = await run(print, { env: { KEY: 'keyward://secret/shop/none#value' } })
  assert.deepEqual([missing.code, missing.stdout], [2, ''])
  assert.equal((await run(['run', '--', 'no-such-program'])).code, 127)
  const entries = (await json('audit', 'list', '--type', 'secret.read')).items
  assert.ok(entries.length > 0 && !JSON.stringify(entries).includes(value))
})

test('CLI-1: agents, leases, policies, audit, status and doctor', async (t) => {
  const server = await startServer(t)
  const { run, json, refused } = user(t, server)
  await json('login', '--local')
  const { agent, apiKey } = await json('agents', 'register', 'shop-bot', '--description', 'restocks')
  assert.equal(await refused('agents', 'register', 'shop-bot'), 'agent.exists')
  assert.deepEqual(
    (await json('agents', 'list')).items.map(({ name }: { name: string }) => name),
    ['shop-bot'],
  )
  const as = { env: { KEYWARD_TOKEN: apiKey } }
  const request = [
    'leases',
    'request',
    'secret/shop/stripe',
    '--to',
    'api.example.com',
    '--purpose',
    'to test',
    '--json',
  ]
  const ungranted = await run(request, as)
  assert.deepEqual([ungranted.code, JSON.parse(ungranted.stderr).code], [2, 'policy.denied'])
  assert.deepEqual((await json('leases', 'list', '--agent', agent.id)).items, [])
  assert.equal(await refused('leases', 'revoke', 'lea_none', '--reason', 'to test'), 'lease.not_found')
  assert.equal((await json('agents', 'quarantine', agent.id, '--reason', 'to test')).state, 'quarantined')
  const quarantined = await run(request, as)
  assert.deepEqual([quarantined.code, JSON.parse(quarantined.stderr).code], [2, 'agent.inactive'])
  assert.equal((await json('agents', 'activate', agent.id)).state, 'active')

  assert.ok((await json('policy', 'list')).policies.length > 3)
  assert.equal((await json('audit', 'verify')).verified, true)
  assert.ok((await json('audit', 'head')).seq > 5)
  const { status } = await json('status')
  assert.deepEqual([status.store.health, status.audit.health, status.counts.agents], ['ok', 'ok', 1])
  const doctor = await run(['doctor', '--json'])
  const { checks } = JSON.parse(doctor.stdout) as {
    checks: { name: string; state: string; detail: string }[]
  }
  const failed = checks.filter(({ state }) => state === 'fail')
  assert.deepEqual([failed, doctor.code], [[], 0])
  for (const name of ['server', 'vault', 'store', 'audit', 'proxy'])
    assert.equal(checks.find((check) => check.name === name)?.state, 'ok', name)

  await server.stop()
  assert.equal(await refused('status'), 'server.unreachable')
  const without = await run(['doctor', '--json'])
  assert.match(without.stdout, /cannot be reached/)
})
