import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { api, type SessionView } from '@keyward/contract'
import { type ContractServer, openContractServer } from '../../test/support/contract-server.ts'
import { launcher, openShell, terminalMissing } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'

const session: SessionView = {
  principal: 'person:ada',
  name: 'Ada',
  roles: ['owner'],
  signedInAt: '2026-01-02T03:04:05.000Z',
  expiresAt: '2026-01-02T15:04:05.000Z',
}
const newToken = (): string => `test-session-${randomBytes(12).toString('hex')}`
const fileIn = (home: string): string => join(home, '.config', 'keyward', 'credentials.json')
const modeOf = (path: string): number => statSync(path).mode & 0o777

function answerExchange(server: ContractServer, token: string): void {
  server.answer(api.session.exchange, ({ kind }) => ({ session, token: kind === 'bearer' ? token : null }))
}

test('CLI-1: a code on standard input signs in, and only its user can read what is kept', async (t) => {
  const server = await openContractServer(t)
  const token = newToken()
  answerExchange(server, token)
  const { keyward, home } = openShell(t, { KEYWARD_ADDRESS: server.address })

  const login = await keyward(['login'], { input: 'one-time-code-1\n' })
  assert.equal(login.code, 0, login.stderr)
  assert.match(login.stderr, /^Signed in to http:\/\/127\.0\.0\.1:\d+ as Ada until/)
  assert.doesNotMatch(login.stdout + login.stderr, /one-time-code|test-session/)
  assert.equal(modeOf(fileIn(home)), 0o600)
  assert.equal(modeOf(join(home, '.config', 'keyward')), 0o700)
  assert.deepEqual(readdirSync(join(home, '.config', 'keyward')), ['credentials.json'])

  server.answer(api.session.read, () => session)
  const who = await keyward(['api', 'session.read'])
  assert.equal(JSON.parse(who.stdout).name, 'Ada')
  assert.equal(server.calls.at(-1)?.token, token)
})

test('CLI-1: the whole sign-in link does as well as its code', async (t) => {
  const server = await openContractServer(t)
  answerExchange(server, newToken())
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  await keyward(['login', '--json'], { input: `${server.address}/#code=one%2Dtime-code-2\n` })
  assert.deepEqual(server.calls[0]?.input, { code: 'one-time-code-2', kind: 'bearer' })
})

test('CLI-1: sessions on two servers are kept side by side, and signing out ends one', async (t) => {
  const [first, second] = [await openContractServer(t), await openContractServer(t)]
  const tokens = [newToken(), newToken()]
  for (const [i, server] of [first, second].entries()) {
    answerExchange(server, tokens[i] ?? '')
    server.answer(api.session.end, () => ({ ended: true }))
  }
  const { keyward, home } = openShellInside(t)
  for (const { address } of [first, second]) {
    await keyward(['login', '--address', address], { input: 'one-time-code-3' })
  }
  const logout = await keyward(['logout', '--address', first.address, '--json'])
  assert.deepEqual(JSON.parse(logout.stdout), { address: first.address, ended: true, forgotten: true })
  assert.deepEqual(first.calls.at(-1), { name: 'session.end', input: {}, token: tokens[0] })
  const kept = readFileSync(fileIn(home), 'utf8')
  assert.ok(!kept.includes(tokens[0] ?? '-') && kept.includes(tokens[1] ?? '-'))
  assert.match((await keyward(['logout', '--address', first.address])).stderr, /There was no session/)
})

test('CLI-1: signing out forgets the token here even when the server is gone', async (t) => {
  const server = await openContractServer(t)
  answerExchange(server, newToken())
  const { keyward, home } = openShellInside(t)
  await keyward(['login', '--address', server.address], { input: 'one-time-code-4' })
  const text = readFileSync(fileIn(home), 'utf8').replace(server.address, 'http://127.0.0.1:9')
  writeFileSync(fileIn(home), text)
  const logout = await keyward(['logout', '--address', 'http://127.0.0.1:9'])
  assert.equal(logout.code, 0)
  assert.match(logout.stderr, /forgotten here; the server did not confirm/)
  assert.doesNotMatch(readFileSync(fileIn(home), 'utf8'), /test-session/)
})

test('CLI-1: a credentials file that others can read, or that is damaged, is refused and not repeated', async (t) => {
  const { keyward, home } = openShellInside(t, { KEYWARD_ADDRESS: 'http://127.0.0.1:9' })
  mkdirSync(join(home, '.config', 'keyward'), { recursive: true })
  const token = newToken()
  writeFileSync(fileIn(home), `{"version":1,"servers":{"x":"${token}`, { mode: 0o600 })
  const damaged = await keyward(['status'])
  assert.equal(damaged.code, 2)
  assert.match(damaged.stderr, /is damaged\. Remove it and run: keyward login/)
  assert.ok(!damaged.stderr.includes(token))
  chmodSync(fileIn(home), 0o644)
  assert.match((await keyward(['status'])).stderr, /can be read by others\. Run: chmod 600/)
})

test('CLI-1: a wrong code is refused and nothing is kept', async (t) => {
  const server = await openContractServer(t)
  const { keyward, home } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stderr } = await keyward(['login', '--json'], { input: 'short\n' })
  assert.equal(code, 2)
  assert.equal(JSON.parse(stderr).code, 'request.invalid')
  assert.equal(server.calls.length, 0)
  assert.throws(() => statSync(fileIn(home)))
})

test("IDENT-1: on the server's machine the token file signs in at once, or makes a link", async (t) => {
  const server = await openContractServer(t)
  const token = newToken()
  const local = randomBytes(24).toString('hex')
  server.answer(api.session.local, ({ kind, token: given }) => {
    assert.equal(given, local)
    return kind === 'bearer'
      ? { session, token, code: null }
      : { session: null, token: null, code: 'a+code/1' }
  })
  const { keyward, home } = openShellInside(t, { KEYWARD_ADDRESS: server.address, KEYWARD_DATA: '' })
  const data = join(home, 'data')
  mkdirSync(data, { mode: 0o700 })
  const missing = await keyward(['login', '--local', '--data', data])
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /local\.token does not exist\. Run this as the server's user/)

  writeFileSync(join(data, 'local.token'), `${local}\n`, { mode: 0o600 })
  const login = await keyward(['login', '--local', '--data', data, '--json'])
  assert.equal(JSON.parse(login.stdout).session.name, 'Ada', login.stderr)
  assert.ok(readFileSync(fileIn(home), 'utf8').includes(token))
  const link = await keyward(['login', '--link'], { env: { KEYWARD_DATA: data } })
  assert.equal(link.stdout, `${server.address}/#code=a%2Bcode%2F1\n`)
  assert.match((await keyward(['login', '--link', '--local'])).stderr, /exclude each other/)
})

test('CLI-1: a code typed at a terminal is not shown', { skip: terminalMissing }, async (t) => {
  const server = await openContractServer(t)
  answerExchange(server, newToken())
  const { home } = openShell(t)
  const code = `typed-${randomBytes(9).toString('hex')}`
  const command = `'${process.execPath}' '${launcher}' login`
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], HOME: home, KEYWARD_ADDRESS: server.address },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  t.after(() => child.kill('SIGKILL'))
  let shown = ''
  let typed = false
  for await (const text of child.stdout.setEncoding('utf8')) {
    shown += text
    if (!typed && shown.includes('One-time sign-in code: ')) {
      typed = true
      child.stdin.write(`${code}\r`)
    }
  }
  assert.match(shown, /Signed in to .* as Ada/)
  assert.ok(!shown.includes(code))
  assert.equal(server.calls[0]?.input['code'], code)
})
