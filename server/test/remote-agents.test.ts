// Agents on other machines: the front, its certificates, and everything behind it, with real sockets and processes.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { openWay } from '../src/cli/login-ways.ts'
import { newSigningRequest } from '../src/cli/signing-request.ts'
import { AppError, type Principal, silentLog } from '../src/core/index.ts'
import { createEgressGate, createEgressLogins, watchEgressEnds } from '../src/flows/index.ts'
import { createRemote, passageMigrations } from '../src/passage/index.ts'
import { lentPlaces } from '../src/passage/remote.ts'
import { createAuthority, createProxy, type EgressRule } from '../src/proxy/index.ts'
import { findProgram } from '../src/sandbox/index.ts'
import { agentAuthority, type SealedStorage } from '../src/vault/index.ts'
import { cleanUp } from './support/clean-up.ts'
import { apiHost, openUpstream, testClock } from './support/egress.ts'
import { eventually } from './support/eventually.ts'
import { ask, entries, give, type LendWorld, openLendWorld } from './support/lend-world.ts'
import { mayBeMissing } from './support/needed.ts'
import { hasRedis, signsIn, startRedis } from './support/redis.ts'

const run = promisify(execFile)
const person: Principal = { kind: 'person', id: 'per_1', name: 'Ada', roles: ['owner'] }
const destinations = [{ host: apiHost, port: 443 }]

type Machine = {
  readonly cert: string
  readonly key: string
  readonly authority: string
  readonly egressCa: string
}
type Options = {
  limits?: Parameters<typeof createRemote>[0]['frontLimits']
  rules?: readonly EgressRule[] | ((world: LendWorld) => Promise<readonly EgressRule[]>)
}

/** A server that listens, its proxy, real lending, and an HTTPS server that says what it was sent. */
async function openRemoteWorld(t: TestContext, { limits, rules }: Options = {}) {
  const world = await openLendWorld(
    t,
    { clock: { ...testClock, advance: () => {}, set: () => {} } },
    'builder',
    passageMigrations,
  )
  const upstream = await openUpstream(t, (request, response) => {
    if (request.url === '/stream') response.write('begun')
    else response.end(`you sent ${request.headers.authorization}`)
  })
  const { clock } = world
  const proxy = createProxy({
    gate: createEgressGate(world),
    logins: createEgressLogins(world),
    log: silentLog,
    clock,
    dataDir: world.dataDir,
  })
  await proxy.start()
  const stored = new Map<string, Buffer>()
  const sealed: SealedStorage = {
    get: async (path) => stored.get(path),
    put: async (_tx, path, bytes) => void stored.set(path, Buffer.from(bytes)),
    delete: async (_tx, path) => void stored.delete(path),
    list: async () => [],
  }
  const remote = createRemote({
    ...world,
    log: silentLog,
    proxy,
    vault: { sealed, status: () => ({ sealed: false }) },
    listen: { host: '127.0.0.1', port: 0, names: ['127.0.0.1', 'localhost'] },
    frontLimits: limits,
    rulesOf: async () =>
      (typeof rules === 'function' ? rules(world) : rules) ?? [{ host: apiHost, port: 443, ...upstream }],
  })
  const stopWatching = watchEgressEnds({ bus: world.bus, proxy })
  const stop = await remote.start()
  cleanUp(t, async () => {
    stopWatching()
    await stop()
    await proxy.stop()
  })
  const certify = async (agentId = world.agent.id, ttlSeconds = 3600) => {
    const { requestPem, keyPem } = newSigningRequest()
    const issued = await remote.issue({ agentId, signingRequest: requestPem, ttlSeconds, by: person })
    const machine: Machine = {
      cert: issued.certificatePem,
      key: keyPem.reveal(),
      authority: issued.authorityPem,
      egressCa: issued.egressAuthorityPem,
    }
    return { ...issued, machine }
  }
  const port = Number(remote.address()?.split(':').at(-1))
  return { world, remote, proxy, certify, port, stored }
}

/** TLS to the front; resolves with what it says until it closes, or with the error's code. */
function say(
  port: number,
  options: Partial<Machine> & { maxVersion?: 'TLSv1.2' },
  text: string,
): Promise<string> {
  return new Promise((resolve) => {
    let said = ''
    const { cert, key, authority, maxVersion } = options
    const tls = connectTls({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      cert,
      key,
      ca: authority,
      ...(maxVersion ? { maxVersion } : {}),
    })
    tls.on('secureConnect', () => tls.write(text))
    tls.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1')
    })
    tls.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    tls.on('close', () => resolve(said))
  })
}

/** An alert, or the end of the connection: nothing of HTTP. */
const noAnswer = /^(?!.*HTTP)/s

const connectTo = (host: string): string => `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

/** A tunnel through the front, with TLS to the destination inside. */
async function tunnel(port: number, { cert, key, authority, egressCa }: Machine): Promise<TLSSocket> {
  const outer = connectTls({ port, host: '127.0.0.1', servername: 'localhost', cert, key, ca: authority })
  outer.on('error', () => {})
  await once(outer, 'secureConnect')
  outer.write(connectTo(`${apiHost}:443`))
  const [head] = await once(outer, 'data')
  assert.match(String(head), /^HTTP\/1\.1 200 /)
  const inner = connectTls({ socket: outer, servername: apiHost, ca: egressCa })
  inner.on('error', () => {})
  await once(inner, 'secureConnect')
  return inner
}

async function get(port: number, machine: Machine, key: string): Promise<string> {
  const inner = await tunnel(port, machine)
  inner.write(
    `GET / HTTP/1.1\r\nHost: ${apiHost}\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`,
  )
  let said = ''
  for await (const chunk of inner) said += String(chunk)
  return said
}

test('LEND-2: an agent on another machine comes with its certificate, and its placeholder is exchanged', async (t) => {
  const { world, remote, certify, port } = await openRemoteWorld(t)
  await give(world, { destinations })
  const { placeholder } = await world.lend.request(ask(world, { destinations }))
  const { machine, certificate } = await certify()
  const said = await get(port, machine, placeholder)
  assert.match(said, /^HTTP\/1\.1 200 /)
  assert.match(said, /you sent Bearer \[redacted by Keyward\]/)
  // Written when the answer is out.
  const entry = await eventually(
    async () => (await entries(world, 'egress.allowed'))[0],
    'the entry of the request',
  )
  assert.equal(entry.actor, `agent:${world.agent.id}`)
  const [view] = (await remote.page(world.agent.id, { limit: 10 })).items
  assert.deepEqual([view?.id, view?.state], [certificate.id, 'valid'])
  assert.ok(view?.lastSeenAt)
  assert.equal(remote.state()?.entered, 1)
})

test('LEND-2: curl comes through with nothing but its own options', async (t) => {
  if (!findProgram('curl')) return t.skip(mayBeMissing('curl is not installed'))
  const { world, certify, port } = await openRemoteWorld(t)
  await give(world, { destinations })
  const { placeholder } = await world.lend.request(ask(world, { destinations }))
  const { machine } = await certify()
  const at = (name: keyof Machine): string => {
    writeFileSync(join(world.dataDir, name), machine[name], { mode: 0o600 })
    return join(world.dataDir, name)
  }
  const proxy = ['--proxy', `https://localhost:${port}`, '--proxy-cacert', at('authority')]
  const own = ['--proxy-cert', at('cert'), '--proxy-key', at('key'), '--cacert', at('egressCa')]
  const header = ['--header', `Authorization: Bearer ${placeholder}`]
  const { stdout } = await run(
    'curl',
    ['--silent', '--show-error', ...proxy, ...own, ...header, `https://${apiHost}/`],
    {
      env: { PATH: process.env['PATH'] ?? '' },
    },
  )
  assert.equal(stdout, 'you sent Bearer [redacted by Keyward]')
})

test('LEND-2: without a certificate of the authority nobody gets as far as a CONNECT', async (t) => {
  const { world, remote, certify, port, stored } = await openRemoteWorld(t)
  const { machine } = await certify()
  const { authority } = machine
  const line = connectTo(`${apiHost}:443`)
  assert.match(await say(port, { authority }, line), noAnswer)
  assert.match(await say(port, { ...machine, maxVersion: 'TLSv1.2' }, line), noAnswer)

  const { requestPem, keyPem } = newSigningRequest()
  const now = new Date()
  const for1 = { agentId: world.agent.id, requestPem, from: now, until: new Date(now.getTime() + 3_600_000) }
  const foreign = await agentAuthority.signForAgent(await agentAuthority.make(now), for1)
  const key = keyPem.reveal()
  assert.match(await say(port, { authority, key, cert: foreign.pem }, line), noAnswer)

  const own = JSON.parse(String(stored.get('passage/agents')))
  const before = {
    ...for1,
    from: new Date(now.getTime() - 7_200_000),
    until: new Date(now.getTime() - 3_600_000),
  }
  const expired = await agentAuthority.signForAgent(own, before)
  assert.match(await say(port, { authority, key, cert: expired.pem }, line), noAnswer)
  const unknown = await agentAuthority.signForAgent(own, for1)
  assert.match(
    await say(port, { authority, key, cert: unknown.pem }, line),
    /^HTTP\/1\.1 403 .*does not know this certificate/s,
  )

  // The certificate of a destination, made by the agent's own egress authority, opens nothing either.
  const leaf = createAuthority({ now: () => now, name: 'Keyward agents' }).leafFor(apiHost)
  assert.match(await say(port, { authority, key: leaf.keyPem, cert: leaf.certificatePem }, line), noAnswer)

  const plain = connect(port, '127.0.0.1')
  let said = ''
  plain.on('error', () => {})
  plain.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1')
  })
  plain.write(line)
  await once(plain, 'close')
  assert.ok(!said.includes('HTTP'), 'nothing is said to who speaks no TLS')
  await eventually(
    async () => (remote.state()?.refused.handshake ?? 0) >= 4,
    'the refused handshakes to be counted',
  )
  assert.equal(remote.state()?.entered, 0)
  const [refused] = await entries(world, 'certificate.refused')
  assert.match(String(JSON.stringify(refused?.detail)), /does not know this certificate/)
})

test('LEND-2: a revoked certificate is refused at once, and what it has open is cut', async (t) => {
  const { world, remote, certify, port } = await openRemoteWorld(t)
  const first = await certify()
  const second = await certify()
  const inner = await tunnel(port, first.machine)
  inner.write(`GET /stream HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`)
  await once(inner, 'data')
  const cut = once(inner, 'close')
  const revoked = await remote.revoke(first.certificate.id, 'the machine is gone', person)
  assert.deepEqual([revoked.state, revoked.revokeReason], ['revoked', 'the machine is gone'])
  await cut
  const line = connectTo(`${apiHost}:443`)
  assert.match(await say(port, first.machine, line), /^HTTP\/1\.1 403 .*was revoked/s)
  ;(await tunnel(port, second.machine)).destroy()
  await remote.revoke(first.certificate.id, 'again', person)
  assert.equal((await entries(world, 'certificate.revoked')).length, 1, 'revoking again changes nothing')
  await assert.rejects(
    remote.revoke('crt_gone', 'a test', person),
    (error) => error instanceof AppError && error.code === 'certificate.not_found',
  )
})

test('LEND-2: quarantine cuts what an agent has open, and refuses its certificates until it is over', async (t) => {
  const { world, certify, port } = await openRemoteWorld(t)
  const { machine } = await certify()
  const inner = await tunnel(port, machine)
  inner.write(`GET /stream HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`)
  await once(inner, 'data')
  const cut = once(inner, 'close')
  const setState = (state: 'active' | 'quarantined') =>
    world.store.write((tx) => world.identity.setAgentState(tx, world.agent.id, state, person, 'a test'))
  await setState('quarantined')
  await cut
  assert.match(await say(port, machine, connectTo(`${apiHost}:443`)), /^HTTP\/1\.1 403 .*quarantined/s)
  await assert.rejects(certify(), (error) => error instanceof AppError && error.code === 'agent.inactive')
  await setState('active')
  ;(await tunnel(port, machine)).destroy()
})

test('LEND-2: another agent’s placeholder, and one of a task, are misuse from another machine too', async (t) => {
  const { world, certify, port } = await openRemoteWorld(t)
  await give(world, { destinations })
  const { placeholder } = await world.lend.request(ask(world, { destinations }))
  const forTask = await world.lend.request(ask(world, { destinations, runId: 'run_1', taskId: 'task_1' }))
  const other = await world.store.write((tx) =>
    world.identity.registerAgent(tx, { name: 'other', description: '', owner: person }),
  )
  const mine = await certify()
  const theirs = await certify(other.agent.id)
  assert.match(await get(port, theirs.machine, placeholder), /^HTTP\/1\.1 403 /)
  assert.match(await get(port, mine.machine, forTask.placeholder), /^HTTP\/1\.1 403 /)
  const misused = await entries(world, 'lease.misused')
  assert.ok(misused.length >= 2)
  assert.notEqual(mine.machine.egressCa, theirs.machine.egressCa)
})

test('LEND-2: an agent on another machine signs in to a database by what was lent to it, and by nothing else', async (t) => {
  if (!hasRedis()) return t.skip('Redis is not installed')
  const redis = await startRedis(t)
  const place = { host: 'cache.example.test', port: 6379 }
  const rules = async ({ lend, agent }: LendWorld) =>
    (await lentPlaces(lend, agent.id)).map((rule) => ({ ...rule, address: `127.0.0.1:${redis.port}` }))
  const { world, certify, port } = await openRemoteWorld(t, { rules })
  world.vault.fields = { value: redis.password, user: redis.username }
  await give(world, {
    destinations: [place],
    injection: { kind: 'redis', tls: 'none', usernameField: 'user' },
  })
  const { placeholder, lease } = await world.lend.request(ask(world, { destinations: [place] }))
  const { machine } = await certify()
  const { cert, key, authority } = machine
  const dial = () =>
    connectTls({ port, host: '127.0.0.1', servername: 'localhost', cert, key, ca: authority })
  const way = await openWay({ dial, to: `${place.host}:${place.port}` })
  const elsewhere = await openWay({ dial, to: 'other.example.test:6379' })
  cleanUp(t, () => {
    way.close()
    elsewhere.close()
  })
  assert.equal(await signsIn(way.port, 'keyward', placeholder), true)
  assert.equal(await signsIn(way.port, 'keyward', redis.password), false)
  await assert.rejects(signsIn(elsewhere.port, 'keyward', placeholder))
  await world.store.write((tx) => world.lend.revoke(tx, lease.id, 'a test', person))
  const afterwards = await signsIn(way.port, 'keyward', placeholder).catch(() => false)
  assert.equal(afterwards, false)
  const [used, ...more] = await entries(world, 'lease.used')
  assert.deepEqual([Object(used?.detail).method, more.length], ['REDIS', 0])
})

test('SAND-1: addresses inside, other hosts and other words than CONNECT are refused from other machines', async (t) => {
  const inside = ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1'].map((host) => ({ host, port: 443 }))
  const { certify, port } = await openRemoteWorld(t, { rules: inside })
  const { machine } = await certify()
  for (const host of [
    '127.0.0.1:443',
    '169.254.169.254:443',
    '10.0.0.1:443',
    '[::1]:443',
    'elsewhere.example.test:443',
    '127.0.0.1:80',
  ])
    assert.match(await say(port, machine, connectTo(host)), /^HTTP\/1\.1 403 /, host)
  const words = `GET http://${apiHost}/ HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`
  assert.match(await say(port, machine, words), /^HTTP\/1\.1 405 /)
})

test('SAND-2: floods, too many connections and clients that say nothing are cut', async (t) => {
  const { remote, certify, port } = await openRemoteWorld(t, {
    limits: { burst: 4, perSecond: 0.001, connectionsEach: 1, firstByteSeconds: 1 },
  })
  const { machine } = await certify()
  const silent = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ...machine,
    ca: machine.authority,
  })
  silent.on('error', () => {})
  await once(silent, 'secureConnect')
  const gone = once(silent, 'close')
  assert.match(
    await say(port, machine, connectTo(`${apiHost}:443`)),
    /^HTTP\/1\.1 503 .*as many connections/s,
  )
  await gone
  for (let i = 0; i < 4; i++) await say(port, machine, connectTo('elsewhere.example.test:443'))
  const refused = () => remote.state()?.refused
  await eventually(
    async () => refused()?.busy === 1 && refused()?.slow === 1 && (refused()?.rate ?? 0) >= 1,
    'each refusal to be counted',
  )
})

test('SAND-2: the front is a process without values, and comes back at the same port', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { world, certify, port } = await openRemoteWorld(t)
  const { machine } = await certify()
  ;(await tunnel(port, machine)).destroy()
  const { stdout } = await run('pgrep', ['-P', String(process.pid), '-f', 'front-child'])
  const pid = Number(stdout.trim())
  const flags = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  assert.ok(flags.includes('--permission'))
  assert.ok(!flags.some((flag) => /^--allow-(?:child-process|worker|addons|wasi)/.test(flag)))
  const allowed = flags
    .filter((flag) => flag.startsWith('--allow-fs-'))
    .map((flag) => flag.replace(/^.*=/, ''))
  assert.ok(allowed.every((path) => path.includes('/proxy/') || path === join(world.dataDir, 'egress', '*')))
  process.kill(pid, 'SIGKILL')
  await eventually(async () => {
    const again = await tunnel(port, machine).catch(() => undefined)
    again?.destroy()
    return again !== undefined
  }, 'the front to come back')
})
