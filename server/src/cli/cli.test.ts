import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { openContractServer } from '../../test/support/contract-server.ts'
import { openShell, runToEnd } from '../../test/support/keyward-command.ts'
import { createCli } from './cli.ts'
import { groups } from './groups.ts'

const stack = /\n\s+at /

test('CLI-1: --version and --help work without a server', async (t) => {
  const { keyward } = openShell(t)
  assert.match((await keyward(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
  const { code, stdout } = await keyward(['--help'])
  assert.equal(code, 0)
  for (const { name, summary } of groups) assert.ok(stdout.includes(name) && stdout.includes(summary), name)
})

/** The same in this process, for the many small questions that need no process each. */
async function here(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  const loadMain = (): never => assert.fail('the server was loaded')
  const cli = createCli({ streams, env: { HOME: '/nonexistent' }, cwd: '/', version: '0.0.0', loadMain })
  const code = await cli.run(args)
  const written = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? ''
  return { code, stdout: written(streams.stdout), stderr: written(streams.stderr) }
}

test('CLI-1: every command has help with examples and --json', async () => {
  for (const { name } of groups) {
    const { code, stdout } = await here([name, '--help'])
    assert.equal(code, 0, name)
    const children = [...stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, child = '']) => child)
    const leaves = children.length > 0 ? children.map((child) => [name, child]) : [[name]]
    for (const leaf of leaves) {
      const help = (await here([...leaf, '--help'])).stdout
      assert.match(help, /--json/, leaf.join(' '))
      assert.match(help, new RegExp(`Examples:\n(.*\n)*.*keyward ${leaf.join(' ')}`), leaf.join(' '))
    }
  }
})

test('CLI-1: wrong use exits 2, says what to do on standard error, and shows no stack', async () => {
  const cases: [string[], RegExp][] = [
    [['statos'], /^keyward: unknown command 'statos' \(Did you mean status\?\)/],
    [['findings', 'lst'], /unknown command 'lst' \(Did you mean list\?\)/],
    [['status', '--jsn'], /unknown option '--jsn'/],
    [['approve'], /missing required argument 'approvalId'/],
    [['agents', 'quarantine', 'agt_1'], /required option '--reason <text>' not specified/],
    [['runs', 'list', '--limit', '0'], /whole number from 1 to 500/],
    [['runs', 'list', '--state', 'Gone'], /Allowed choices are Running/],
    [
      ['leases', 'request', 'secret/a', '--purpose', 'a test', '--to', 'https://x'],
      /Write host or host:port/,
    ],
    [['approve', 'apr_1', '--digest', 'abc'], /64 lower-case hex digits/],
    [['findings', 'import'], /no finding is named/],
    [['findings', 'import', 'fnd_1', '--all-open'], /Choose one of the two/],
    [['server', '--dev-root-token-id', 'root'], /needs --dev/],
    [['server', '--listen', 'nowhere'], /Write host:port/],
    [['server', '--tls-cert', 'a.pem'], /go together/],
    [['api', 'no.such'], /no operation is called no\.such/],
    [['api', 'runs.list', 'colour=red'], /has no field colour/],
    [['api', 'session.exchange'], /Run: keyward login/],
    [['status', '--address', 'ftp://x'], /--address is not an address/],
    [['status', '--address', 'http://me:pw@127.0.0.1:1'], /holds a user name or password/],
    [['status', '--address', 'http://127.0.0.1:1/api'], /more than scheme, host and port/],
  ]
  for (const [args, words] of cases) {
    const { code, stdout, stderr } = await here(args)
    assert.equal(code, 2, args.join(' '))
    assert.equal(stdout, '', args.join(' '))
    assert.match(stderr, words)
    assert.match(stderr, /^keyward: .*[.)]\n$/)
    assert.doesNotMatch(stderr, stack)
  }
})

test('CLI-1: a group alone shows its help and exits 2', async (t) => {
  const { code, stderr } = await openShell(t).keyward(['findings'])
  assert.equal(code, 2)
  assert.match(stderr, /Usage: keyward findings/)
})

test('CLI-1: an unreachable server is told with its address and what to do, as JSON on demand', async (t) => {
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: 'http://127.0.0.1:9' })
  const plain = await keyward(['status'])
  assert.equal(plain.code, 2)
  assert.match(
    plain.stderr,
    /^keyward: the Keyward server cannot be reached: http:\/\/127\.0\.0\.1:9 \(.+\)\. /,
  )
  const { code, stdout, stderr } = await keyward(['status', '--json'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.equal(JSON.parse(stderr).code, 'server.unreachable')
})

test('CLI-1: what answers but is not Keyward is refused, and a redirect is not followed', async (t) => {
  let asked = 0
  const server = createServer((request, response) => {
    asked += 1
    if (request.url?.includes('status')) response.end('<html>hello</html>')
    else response.writeHead(302, { location: '/api/v1/status' }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: address, KEYWARD_TOKEN: 'a-token-for-this-test' })
  assert.match((await keyward(['status'])).stderr, /something else than JSON, so it is not Keyward/)
  assert.equal((await keyward(['runs', 'list'])).code, 2)
  assert.equal(asked, 2)
})

test('CLI-1: a problem of the server keeps its code, and an answer of another shape is named', async (t) => {
  const server = await openContractServer(t)
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const unsigned = await keyward(['runs', 'list'])
  assert.equal(unsigned.code, 2)
  assert.match(unsigned.stderr, /^keyward: sign in first: Run: keyward login\.\n$/)
  server.answer(api.runs.read, () => ({ never: true }) as never)
  assert.equal(JSON.parse((await keyward(['runs', 'show', 'run_1', '--json'])).stderr).status, 400)
})

test('CLI-1: a token is not sent in the clear to another machine, nor VAULT_TOKEN to another server', async (t) => {
  const server = await openContractServer(t)
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const far = await keyward(['status'], {
    env: { KEYWARD_TOKEN: 't0', KEYWARD_ADDRESS: 'http://192.0.2.1:8200' },
  })
  assert.match(far.stderr, /neither https nor this machine/)
  await keyward(['status'], { env: { VAULT_TOKEN: 't1', VAULT_ADDR: 'https://vault.example:8200' } })
  await keyward(['status'], { env: { VAULT_TOKEN: 't2' } })
  await keyward(['status'], { env: { VAULT_TOKEN: 't3', VAULT_ADDR: server.address } })
  await keyward(['status'], { env: { VAULT_TOKEN: 't3', KEYWARD_TOKEN: 't4' } })
  assert.deepEqual(
    server.calls.map(({ token }) => token),
    [undefined, 't2', 't3', 't4'],
  )
})

test('CLI-1: every operation of the contract can be called by its name', async (t) => {
  const server = await openContractServer(t)
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const listed = JSON.parse((await keyward(['api', '--json'])).stdout)
  const names = Object.values(api).flatMap((noun) => Object.values(noun).map(({ name }) => name))
  assert.deepEqual(
    listed.map(({ name }: { name: string }) => name),
    names,
  )
  server.answer(api.findings.undo, ({ runId }) => ({ files: [runId], findings: [] }))
  server.answer(api.runs.list, ({ limit, state }) => ({ items: [], next: `${limit} ${state}` }))
  const undone = await keyward(['api', 'findings.undo', '--input', '-'], { input: '{"runId":"run_7"}' })
  assert.deepEqual(JSON.parse(undone.stdout), { files: ['run_7'], findings: [] })
  const runs = await keyward(['api', 'runs.list', 'limit=5', 'state=Failed'])
  assert.equal(JSON.parse(runs.stdout).next, '5 Failed')
  const broken = await keyward(['api', 'findings.undo', '--input', '-'], { input: 'sk_not_json' })
  assert.equal(broken.code, 2)
  assert.doesNotMatch(broken.stderr, /sk_not/)
})

test('CLI-1: completion knows every command and option, and bash completes with it', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await here(['completion', shell])
    assert.equal(code, 0)
    for (const { name } of groups) assert.ok(stdout.includes(name), `${shell}: ${name}`)
    for (const word of ['quarantine', 'idempotency-key', 'baseline']) assert.ok(stdout.includes(word), word)
  }
  const script = (await here(['completion', 'bash'])).stdout
  const { home } = openShell(t)
  const completed = async (...words: string[]): Promise<string[]> => {
    const typed = words.map((word) => `'${word}'`).join(' ')
    const ask = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _keyward keyward '${words.at(-1)}' x; echo "\${COMPREPLY[@]}"`
    const { stdout } = await runToEnd('bash', ['--norc'], { cwd: home, env: {} }, `${script}${ask}\n`)
    return stdout.trim().split(' ')
  }
  assert.deepEqual(await completed('keyward', 'appr'), ['approvals', 'approve'])
  assert.deepEqual(await completed('keyward', 'agents', 'qu'), ['quarantine'])
  assert.deepEqual(await completed('keyward', 'agents', 'quarantine', '--re'), ['--reason'])
  assert.deepEqual(await completed('keyward', 'scan', '.', '--fo'), ['--format'])
})
