import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  apiHost,
  ask,
  bodyOf,
  openProxy,
  openTls,
  openTunnel,
  openUpstream,
  relayTo,
  testClock,
  until,
} from '../../test/support/egress.ts'

const run = promisify(execFile)
const rule = { host: apiHost, port: 443 }
const linux = { skip: process.platform === 'linux' ? false : '/proc is needed' }

test(
  'LEND-2: the proxy is a process without the server’s environment, files, or leave to start another',
  linux,
  async (t) => {
    const { proxy, channel, dataDir } = await openProxy(t)
    const marker = `test-${process.pid}-marker`
    process.env['KEYWARD_TEST_MARKER'] = marker
    t.after(() => delete process.env['KEYWARD_TEST_MARKER'])
    writeFileSync(join(dataDir, 'store.sqlite'), 'not for the proxy')
    await channel(rule)
    const { pid } = proxy.health()
    assert.ok(pid && pid !== process.pid)
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    const names = environment.filter(Boolean).map((entry) => entry.split('=')[0])
    const known = [
      'NODE_CHANNEL_FD',
      'NODE_CHANNEL_SERIALIZATION_MODE',
      'NODE_EXTRA_CA_CERTS',
      'SSL_CERT_FILE',
      'SSL_CERT_DIR',
    ]
    assert.deepEqual(
      names.filter((name) => !known.includes(name ?? '')),
      [],
    )
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    assert.deepEqual(
      open.filter((target) => target.startsWith(dataDir)),
      [],
    )
    const flags = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    assert.ok(flags.includes('--permission'))
    assert.ok(!flags.some((flag) => /^--allow-(?:child-process|worker|addons|wasi)/.test(flag)))
    const allowed = flags
      .filter((flag) => flag.startsWith('--allow-fs-'))
      .map((flag) => flag.replace(/^.*=/, ''))
    assert.ok(allowed.every((path) => path.includes('/proxy/') || path === join(dataDir, 'egress', '*')))
  },
)

test('a sandbox’s socket lies in a folder closed to others, and goes with its channel and connections', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.write('begun'))
  const { proxy, channel, recorded } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  assert.ok(Buffer.byteLength(way.socketPath) < 100)
  assert.equal(statSync(dirname(way.socketPath)).mode & 0o777, 0o700)
  assert.equal(statSync(way.socketPath).mode & 0o666, 0o666, 'a sandbox of another user can connect')
  const tls = await openTls(way)
  tls.on('error', () => {})
  tls.write(`GET /stream HTTP/1.1\r\nHost: ${apiHost}\r\n\r\n`)
  await once(tls, 'data')
  const ended = once(tls, 'close')
  await proxy.close(way.sandboxId)
  await ended
  assert.equal((await recorded(1))[0]?.path, '/stream', 'recorded before close() resolved')
  assert.ok(!existsSync(dirname(way.socketPath)))
  assert.equal(proxy.health().channels, 0)
  await assert.rejects(ask(way), { code: 'ENOENT' })
  await proxy.close(way.sandboxId)
})

test('a second channel for the same sandbox is refused, and one of a proxy that is not running', async (t) => {
  const { proxy, channel } = await openProxy(t)
  const { sandboxId } = await channel(rule)
  const owner = { sandboxId, agentId: 'agt_1', runId: undefined, taskId: undefined }
  await assert.rejects(proxy.open({ ...owner, allow: [] }), { code: 'request.conflict' })
  await proxy.stop()
  await assert.rejects(proxy.open({ ...owner, allow: [] }), { code: 'egress.unavailable' })
  assert.equal(proxy.health().state, 'failing')
})

test('LEND-2: two sandboxes share no authority, and the socket says which one asks', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const { channel, lend, gate } = await openProxy(t)
  const one = await channel({ ...rule, ...upstream })
  const other = await channel({ ...rule, ...upstream })
  assert.notEqual(one.caPem, other.caPem)
  await assert.rejects(ask({ ...one, caPem: other.caPem }))
  const { placeholder } = lend()
  await ask(one, { headers: { Authorization: placeholder } })
  await ask(other, { headers: { Authorization: placeholder } })
  assert.deepEqual(
    gate.claims.map(({ sandboxId }) => sandboxId),
    [one.sandboxId, other.sandboxId],
  )
})

test('OPS-2: killed, the proxy comes back with the same channels, authority and memory of what was lent', async (t) => {
  let key = ''
  const upstream = await openUpstream(t, ({ headers }, response) => {
    key = headers.authorization ?? key
    response.end(`key ${key}`)
  })
  const { proxy, channel, lend } = await openProxy(t)
  const way = await channel({ ...rule, ...upstream })
  const { placeholder } = lend()
  assert.equal(
    (await ask(way, { headers: { Authorization: placeholder } })).body,
    'key [redacted by Keyward]',
  )
  const { pid } = proxy.health()
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  await until(() => proxy.health().state === 'degraded')
  const late = channel({ ...rule, ...upstream })
  await until(() => proxy.health().state === 'ok')
  assert.equal(proxy.health().restarts, 1)
  assert.notEqual(proxy.health().pid, pid)
  assert.equal((await ask(await late)).body, `key ${key}`)
  await until(() => existsSync(way.socketPath))
  await until(async () => (await ask(way).catch(() => undefined)) !== undefined)
  assert.equal((await ask(way)).body, 'key [redacted by Keyward]')
})

test('SAND-2: what a killed proxy asked is not answered to the next one, which numbers its questions anew', async (t) => {
  const { proxy, channel, gate } = await openProxy(t)
  const asked: ((answer: { allow: boolean; reason: string }) => void)[] = []
  gate.admit = () => new Promise((resolve) => asked.push(resolve))
  const { socketPath } = await channel({ ...rule, address: '127.0.0.1:1' })
  const lost = assert.rejects(openTunnel(socketPath, `${apiHost}:443`))
  await until(() => asked.length === 1)
  process.kill(proxy.health().pid ?? 0, 'SIGKILL')
  await lost
  await until(() => proxy.health().state === 'degraded')
  const next = await channel({ ...rule, address: '127.0.0.1:1' })
  const refused = assert.rejects(openTunnel(next.socketPath, `${apiHost}:443`), /403 egress\.denied: no/)
  await until(() => asked.length === 2)
  asked[0]?.({ allow: true, reason: '' })
  await new Promise((resolve) => setImmediate(resolve))
  asked[1]?.({ allow: false, reason: 'no' })
  await refused
})

test(
  'the proxy ends with its server, even one that was killed, and takes its sockets along',
  linux,
  async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'kwt-'))
    t.after(() => rmSync(dataDir, { recursive: true, force: true }))
    const program = `
    import { createProxy } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)}
    const log = { info() {}, warn() {}, error() {} }
    const clock = { now: () => new Date(), after: (ms, call) => { const timer = setTimeout(call, ms); return () => clearTimeout(timer) } }
    const proxy = createProxy({ gate: {}, log, clock, dataDir: ${JSON.stringify(dataDir)} })
    await proxy.start()
    const owner = { sandboxId: 'sbx_1', agentId: 'agt_1', runId: undefined, taskId: undefined }
    const { socketPath } = await proxy.open({ ...owner, allow: [] })
    console.log(JSON.stringify({ socketPath, pid: proxy.health().pid }))
  `
    const server = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => server.kill('SIGKILL'))
    const [line] = await once(createInterface({ input: server.stdout }), 'line')
    const { socketPath, pid } = JSON.parse(String(line))
    assert.ok(existsSync(socketPath) && existsSync(`/proc/${pid}`))
    server.kill('SIGKILL')
    await until(
      () => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '),
    )
    assert.ok(!existsSync(socketPath))
  },
)

test('a proxy is started for the first sandbox, put to rest without one, and a new one serves the next', async (t) => {
  const upstream = await openUpstream(t, (_request, response) => response.end('reached'))
  const aMinuteIsShort: typeof testClock = {
    ...testClock,
    after: (milliseconds, call) => testClock.after(milliseconds === 60_000 ? 20 : milliseconds, call),
  }
  const { proxy, channel } = await openProxy(t, {}, undefined, aMinuteIsShort)
  const atRest = { state: 'ok', reason: null, pid: null, restarts: 0, channels: 0 } as const
  assert.deepEqual(proxy.health(), atRest)
  const [first, second] = await Promise.all([
    channel({ ...rule, ...upstream }),
    channel({ ...rule, ...upstream }),
  ])
  const { pid } = proxy.health()
  assert.equal((await ask(first)).body, 'reached')
  assert.equal((await ask(second)).body, 'reached')
  await proxy.close(first.sandboxId)
  assert.equal(proxy.health().pid, pid)
  await proxy.close(second.sandboxId)
  await until(() => proxy.health().pid === null)
  assert.deepEqual(proxy.health(), atRest)
  assert.equal((await ask(await channel({ ...rule, ...upstream }))).body, 'reached')
})

test('where the data folder is too deep for a socket, another private folder serves', async (t) => {
  const deep = join(mkdtempSync(join(tmpdir(), 'kwt-')), 'x'.repeat(100))
  t.after(() => rmSync(dirname(deep), { recursive: true, force: true }))
  const { channel } = await openProxy(t, {}, deep)
  const { socketPath } = await channel(rule)
  assert.ok(Buffer.byteLength(socketPath) < 100)
  assert.equal(statSync(dirname(dirname(socketPath))).mode & 0o777, 0o700)
})

test('LEND-2: ordinary clients pass through by their environment: fetch of Node, and curl', async (t) => {
  // Answered after the whole upload: curl 7.88 waits for ever when the end of an answer overtakes the end of its upload.
  const upstream = await openUpstream(t, async (request, response) => {
    await bodyOf(request)
    response.end(`${request.method} ${request.headers.authorization}`)
  })
  const { channel, lend, dataDir, recorded } = await openProxy(t)
  const { placeholder } = lend()
  const way = await channel({ ...rule, ...upstream })
  const ca = join(dataDir, 'ca.pem')
  writeFileSync(ca, way.caPem)
  const proxyUrl = await relayTo(t, way.socketPath)
  const env = {
    PATH: process.env['PATH'] ?? '',
    HTTPS_PROXY: proxyUrl,
    CURL_CA_BUNDLE: ca,
    NODE_EXTRA_CA_CERTS: ca,
  }
  const program = `const answer = await fetch('https://${apiHost}/fetch', { headers: { Authorization: process.argv[1] } })
    console.log(await answer.text())`
  const fetched = await run(
    process.execPath,
    ['--use-env-proxy', '--input-type=module', '-e', program, placeholder],
    { env },
  )
  assert.equal(fetched.stdout.trim(), 'GET [redacted by Keyward]')
  assert.equal((await recorded(1))[0]?.path, '/fetch')
  // More than a megabyte: curl asks with Expect: 100-continue before it sends that much.
  const body = join(dataDir, 'body')
  writeFileSync(body, 'x'.repeat(2_000_000))
  const curl = ['--silent', '--show-error', '--data', `@${body}`, '--header', `Authorization: ${placeholder}`]
  const said = await run('curl', [...curl, `https://${apiHost}/curl`], { env }).catch((error) => {
    if (error.code !== 'ENOENT') throw error
    t.diagnostic('curl is not installed; only fetch was tried')
  })
  if (said) assert.equal(said.stdout.trim(), 'POST [redacted by Keyward]')
})
