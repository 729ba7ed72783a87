// `keyward run --brokered` with the real command, server, proxy and an HTTPS server of the test's own.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { api, type Reachable } from '@keyward/contract'
import { cleanUp } from './support/clean-up.ts'
import { apiHost, newValue, openUpstream } from './support/egress.ts'
import { eventually } from './support/eventually.ts'
import { compiledBefore, launcher } from './support/keyward-command.ts'
import { mayBeMissing } from './support/needed.ts'
import { postgresBinaries } from './support/postgres.ts'
import { startRelayPostgres } from './support/relay-postgres.ts'
import { codeOf, type RunningServer, scratchFolder, startServer } from './support/server.ts'
import { hasSshd, newSshKey, startSshd } from './support/sshd.ts'

const reference = 'keyward://secret/shop/stripe#value'

/** Sends the placeholder as a key, and prints what came back. */
const asks = `
  const answer = await fetch('https://${apiHost}/v1/charges', { headers: { Authorization: 'Bearer ' + process.env.KEY } })
  console.log(JSON.stringify({ key: process.env.KEY, status: answer.status, body: await answer.text() }))`

async function openShop(t: TestContext) {
  const seen: (string | undefined)[] = []
  const upstream = await openUpstream(t, (request, response) => {
    seen.push(request.headers.authorization)
    response.end(`you sent ${request.headers.authorization}`)
  })
  const server = await startServer(t)
  const value = newValue()
  await server.ask('PUT', '/v1/secret/data/shop/stripe', { body: { data: { value } } })
  const reach: Reachable = { host: apiHost, port: 443, ...upstream }
  return { server, value, seen, reach: ['--reach', JSON.stringify(reach)] }
}

const brokered = (server: RunningServer, options: readonly string[], command: readonly string[]) =>
  server.keyward(['run', '--brokered', ...options, '--', ...command], { env: { KEY: reference } })

const node = (code: string): string[] => ['node', '--input-type=module', '-e', code]

const activeLeases = async (server: RunningServer) =>
  (await server.call(api.leases.list, { state: 'active' })).items

/** Starts it and leaves it running; `said` is what the command prints. */
function start(t: TestContext, server: RunningServer, options: readonly string[], code: string) {
  const child = spawn(process.execPath, [launcher, 'run', '--brokered', ...options, '--', ...node(code)], {
    cwd: scratchFolder(t, 'home'),
    env: {
      PATH: process.env['PATH'],
      HOME: scratchFolder(t, 'home'),
      KEYWARD_ADDRESS: server.address,
      KEYWARD_TOKEN: server.token,
      KEY: reference,
      ...compiledBefore,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  // A group of its own, so that a command that outlives its killed `keyward` is ended too.
  cleanUp(t, () => endGroup(child.pid))
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  return { child, said: () => said }
}

function endGroup(pid = 0): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: all of them have ended.
  }
}

const ended = (child: ChildProcess) =>
  eventually(async () => child.exitCode !== null || child.signalCode !== null, 'the command to end')

test('LEND-2: a command outside a sandbox has a placeholder, and the host that it was lent for gets the value', async (t) => {
  const { server, value, seen, reach } = await openShop(t)
  const { code, stdout, stderr } = await brokered(
    server,
    ['--to', apiHost, '--as', 'bearer', ...reach],
    node(asks),
  )
  assert.deepEqual([code, stderr], [0, ''])
  const said = JSON.parse(stdout)
  assert.match(said.key, /^kwp_/)
  assert.deepEqual([said.status, said.body], [200, 'you sent Bearer [redacted by Keyward]'])
  assert.deepEqual(seen, [`Bearer ${value}`])
  assert.deepEqual(await activeLeases(server), [])
  const [lease] = (await server.call(api.leases.list, {})).items
  const [passage] = (await server.call(api.passages.list, {})).items
  assert.deepEqual(
    [passage?.state, passage?.endReason, passage?.command],
    ['ended', 'its command ended', 'node'],
  )
  assert.deepEqual([lease?.state, lease?.runId, lease?.uses], ['revoked', passage?.id, 1])
  const entries = (await server.call(api.audit.list, { limit: 500 })).items
  for (const type of [
    'passage.opened',
    'lease.granted',
    'lease.issued',
    'lease.used',
    'egress.allowed',
    'lease.revoked',
    'lease.grant_ended',
    'passage.ended',
  ])
    assert.ok(
      entries.some((entry) => entry.type === type && entry.correlation === passage?.id),
      type,
    )
  assert.ok(!JSON.stringify(entries).includes(value))
})

test('LEND-2: what the command may not do through its proxy is refused', async (t) => {
  const { server, seen, reach } = await openShop(t)
  const code = `
    const said = []
    const attempt = async (url, header) => {
      try {
        const answer = await fetch(url, { headers: { [header]: process.env.KEY } })
        said.push(answer.status)
      } catch { said.push('failed') }
    }
    await attempt('https://${apiHost}/v1', 'X-Other')
    await attempt('https://${apiHost}/v2', 'Authorization')
    await attempt('https://other.example.test/', 'Authorization')
    const { connect } = await import('node:net')
    const { port } = new URL(process.env.HTTPS_PROXY)
    const raw = (text) => new Promise((done) => {
      let got = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      socket.on('data', (chunk) => { got += chunk }).on('close', () => done(got.split('\\r\\n')[0]))
    })
    said.push(await raw('CONNECT ${apiHost}:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'))
    said.push(await raw('CONNECT ${apiHost}:443 HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic a2V5d2FyZDp4\\r\\n\\r\\n'))
    said.push(await raw('GET http://${apiHost}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'))
    said.push(process.env.KEYWARD_TOKEN ?? 'no token')
    console.log(JSON.stringify(said))`
  const { stdout, stderr } = await brokered(
    server,
    ['--to', `${apiHost}/v1`, '--as', 'bearer', ...reach],
    node(code),
  )
  const [place, path, host, ...rest] = JSON.parse(stdout)
  assert.deepEqual([place, path], [403, 403], stderr)
  assert.equal(host, 'failed')
  const refused = 'HTTP/1.1 407 Proxy Authentication Required'
  assert.deepEqual(rest, [refused, refused, 'HTTP/1.1 405 Method Not Allowed', 'no token'])
  assert.deepEqual(seen, [])
})

test('LEND-2: an agent runs with its own grants, and reaches nothing else', async (t) => {
  const { server, reach } = await openShop(t)
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  const as = (options: readonly string[]) =>
    server.keyward(['run', '--brokered', ...options, '--', 'sh', '-c', 'echo "$KEY"'], {
      env: { KEY: reference, KEYWARD_TOKEN: apiKey },
    })
  assert.match((await as([])).stderr, /shop-bot has no grant of secret\/shop\/stripe#value/)
  await server.call(api.grants.create, {
    agentId: agent.id,
    secretPath: 'secret/shop/stripe',
    destinations: [{ host: apiHost }],
    reason: 'a test of passages',
  })
  assert.match((await as([])).stdout, /^kwp_/)
  assert.match((await as(['--to', 'elsewhere.example.test'])).stderr, /policy does not allow/i)
  assert.match((await as(reach)).stderr, /only a person lists more/)
  const other = await server.call(api.agents.register, { name: 'other-bot' })
  const foreign = await server.ask('POST', '/api/v1/passages', {
    token: apiKey,
    body: { command: 'sh', agentId: other.agent.id },
  })
  assert.equal(codeOf(foreign), 'policy.denied')
  await server.call(api.agents.quarantine, { agentId: agent.id, reason: 'a test of passages' })
  assert.match((await as([])).stderr, /quarantined/)
  assert.deepEqual(await activeLeases(server), [])
})

test('LEND-2: a command outside a sandbox signs in to a database with a placeholder', {
  skip:
    postgresBinaries() && existsSync('/usr/bin/psql') ? false : mayBeMissing('PostgreSQL is not installed'),
}, async (t) => {
  const host = 'db.example.test'
  const database = await startRelayPostgres(t, host)
  const { username, password, address, caPem } = database
  const server = await startServer(t)
  await server.ask('PUT', '/v1/secret/data/shop/stripe', { body: { data: { value: password, username } } })
  const reach = ['--reach', JSON.stringify({ host, port: 5432, address, caPem })]
  const options = ['--to', `${host}:5432`, '--as', `postgres:${database.database}`, ...reach]
  const psql = (words: string) => brokered(server, options, ['sh', '-c', words])

  const signedIn = await psql(
    'echo "$PGPASSWORD"; psql -Atc "select current_user" && psql "$DATABASE_URL" -Atc "select 42"',
  )
  assert.match(signedIn.stdout, new RegExp(`^kwp_\\S+\n${username}\n42\n$`), signedIn.stderr)
  const others = await psql(
    `psql -d ${database.otherDatabase} -c "select 1"; PGPASSWORD=kwp_other psql -c "select 1"; PGPORT=1 psql -c "select 1"`,
  )
  assert.equal(others.stdout, '')
  assert.match(others.stderr, /not for the database/)
  assert.match(others.stderr, /must be the placeholder/)
  assert.deepEqual(await activeLeases(server), [])
  const entries = (await server.call(api.audit.list, { limit: 500 })).items
  assert.ok(entries.some(({ type, detail }) => type === 'egress.allowed' && Object(detail).user === username))
  assert.ok(!JSON.stringify(entries).includes(password))
})

test('LEND-2: ssh and git outside a sandbox sign in with a key that stays in the vault, at its hosts alone', {
  skip: hasSshd() ? false : 'the OpenSSH server is not installed',
}, async (t) => {
  const host = 'git.example.test'
  const key = await newSshKey(t, 'ed25519')
  const { address, user, hostKey } = await startSshd(t, { hostType: 'ecdsa', keys: [key.publicKey] })
  const other = await startSshd(t, { hostType: 'ed25519', keys: [key.publicKey] })
  const server = await startServer(t)
  await server.ask('PUT', '/v1/secret/data/shop/stripe', { body: { data: { value: key.privateKey } } })
  const repository = scratchFolder(t, 'repository')
  const git = (...words: string[]) => execFileSync('git', ['-C', repository, ...words], { stdio: 'ignore' })
  git('init', '-q', '-b', 'main')
  const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.test']
  git(...author, 'commit', '-q', '--allow-empty', '-m', 'the first')
  git('checkout', '-q', '--detach')
  const reach = JSON.stringify({ host, port: 22, address })
  const sh = (words: string, users = [user]) => {
    const as = JSON.stringify({ kind: 'ssh', users, hostKeys: [hostKey] })
    return brokered(server, ['--to', `${host}:22`, '--as', as, '--reach', reach], ['sh', '-c', words])
  }

  const said = await sh(
    `ssh -F "$KEYWARD_SSH_CONFIG" ${host} echo from outside; git ls-remote --heads ${user}@${host}:${repository} | cut -f2; ssh-add -L; ls -a "$(dirname "$SSH_AUTH_SOCK")"`,
  )
  assert.match(said.stdout, /^from outside\nrefs\/heads\/main\nssh-ed25519 /, said.stderr)
  assert.ok(said.stdout.includes(key.publicKey.split(' ')[1] ?? ''))
  const [, elsewhere = ''] = other.address.split(':')
  const anyHost = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'
  const refused = await sh(
    `ssh -F "$KEYWARD_SSH_CONFIG" ${anyHost} -o HostKeyAlias=elsewhere.test -p ${elsewhere} ${user}@127.0.0.1 echo in; ssh-add -D; true`,
  )
  const asAnother = await sh(`ssh -F "$KEYWARD_SSH_CONFIG" -l ${user} ${host} echo in; true`, ['deploy'])
  assert.deepEqual([refused.stdout, asAnother.stdout], ['', ''])
  const entries = (await server.call(api.audit.list, { limit: 500 })).items
  const reasons = JSON.stringify(entries.map(({ detail }) => Object(detail).reason))
  assert.match(reasons, /not lent for the host that this connection is bound to/)
  assert.match(reasons, /signs in as deploy, not as /)
  assert.match(reasons, /cannot be added, removed or locked/)
  assert.ok(!JSON.stringify(entries).includes(key.privateKey))
  assert.deepEqual(await activeLeases(server), [])
})

test('LEND-2, OPS-4: options that need --brokered are refused without it, and nothing is started', async (t) => {
  const { server } = await openShop(t)
  for (const option of [
    ['--to', apiHost],
    ['--agent', 'shop-bot'],
    ['--reach', apiHost],
  ]) {
    const { code, stderr } = await server.keyward(['run', ...option, '--', 'true'], {
      env: { KEY: reference },
    })
    assert.deepEqual([code, /is for --brokered/.test(stderr)], [2, true], stderr)
  }
  const as = await brokered(server, ['--as', 'bearer'], ['true'])
  assert.match(as.stderr, /--as is for --to/)
})

const waits = `${asks}\nsetInterval(() => {}, 1000)`

test('LEND-2: a killed command and a killed `keyward run` leave no lease and no socket behind', async (t) => {
  const { server, reach } = await openShop(t)
  const options = ['--to', apiHost, ...reach]
  const first = start(t, server, options, `${asks}\nprocess.kill(process.pid, 'SIGKILL')`)
  await ended(first.child)
  assert.equal(first.child.exitCode, 137, first.said())
  assert.deepEqual(await activeLeases(server), [])

  const second = start(t, server, options, waits)
  await eventually(async () => second.said().includes('"status":200'), 'the request of the command')
  const sockets = join(server.dataDir, 'egress')
  const [open] = (await server.call(api.passages.list, {})).items
  assert.equal(open?.state, 'open')
  second.child.kill('SIGKILL')
  await eventually(async () => (await activeLeases(server)).length === 0, 'the leases to end')
  const [over] = (await server.call(api.passages.list, {})).items
  assert.match(over?.endReason ?? '', /nobody said that its command still runs/)
  await eventually(async () => globSync('**/egress.sock', { cwd: sockets }).length === 0, 'the socket to go')
})

test('LEND-2: quarantine ends a passage while its command runs, and so does the end of the server', async (t) => {
  const { server, reach } = await openShop(t)
  const first = start(t, server, ['--to', apiHost, ...reach], waits)
  await eventually(async () => first.said().includes('"status":200'), 'the request of the command')
  const [passage] = (await server.call(api.passages.list, {})).items
  await server.call(api.agents.quarantine, { agentId: passage?.agentId ?? '', reason: 'a test of passages' })
  await eventually(
    async () => (await server.call(api.passages.list, {})).items[0]?.state === 'ended',
    'its end',
  )
  await server.call(api.agents.activate, { agentId: passage?.agentId ?? '' })

  const second = start(t, server, ['--to', apiHost, ...reach], waits)
  await eventually(async () => second.said().includes('"status":200'), 'the request of the command')
  await server.stop('SIGKILL')
  const again = await startServer(t, { dataDir: server.dataDir, token: server.token })
  const passages = (await again.call(api.passages.list, {})).items
  assert.deepEqual(
    passages.map(({ state }) => state),
    ['ended', 'ended'],
  )
  assert.deepEqual([passages[0]?.endReason, await activeLeases(again)], ['the server was started again', []])
})
