import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { newPlaceholder, until } from '../../../test/support/egress.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { askRedis, hasRedis, startRedis } from '../../../test/support/redis.ts'
import { openRelayWorld } from '../../../test/support/relay-world.ts'
import { encoded } from './redis-commands.ts'

const host = 'cache.example.test'
const skip = hasRedis() ? false : 'Redis is not installed'
const run = promisify(execFile)

async function opened(t: TestContext, { allow = [] as string[] } = {}) {
  const server = await startRedis(t)
  const world = await openRelayWorld(t)
  const { username, password, port: real } = server
  const placeholder = world.lend({ username, password, mayShow: true })
  const relay = { kind: 'redis', tls: 'none', allow } as const
  const { port } = await world.sandbox({ host, port: 6379, address: `127.0.0.1:${real}`, relay })
  const cli = async (...words: string[]) =>
    (await run('redis-cli', ['-p', String(port), '-a', placeholder, '--no-auth-warning', ...words])).stdout
  return { ...world, server, placeholder, port, cli }
}

/** Sends commands in one go and reads until so much has come, or the end. */
function talk(
  port: number,
  commands: readonly (readonly string[])[],
  isEnough: (text: string) => boolean,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat(commands.map(encoded))))
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (isEnough(text)) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(text))
  })
}

const untilEnd = (): boolean => false

test('LEND-2: a login of Redis is made outside, whichever way the client asks', { skip }, async (t) => {
  const world = await opened(t)
  const { port, placeholder, server } = world
  assert.equal(await world.cli('SET', 'order', '17'), 'OK\n')
  assert.equal(await world.cli('ACL', 'WHOAMI'), `${server.username}\n`)
  assert.equal(await world.cli('-3', 'GET', 'order'), '17\n')
  const ends = (end: string) => (text: string) => text.endsWith(end)
  const get = ['GET', 'order']
  assert.equal(
    await talk(port, [['AUTH', 'keyward', placeholder], get], ends('17\r\n')),
    '+OK\r\n$2\r\n17\r\n',
  )
  const hello = ['HELLO', '3', 'AUTH', 'default', placeholder, 'SETNAME', 'shop']
  const greeted = await talk(port, [hello, ['CLIENT', 'GETNAME']], ends('$4\r\nshop\r\n'))
  assert.match(greeted, /^%7\r\n/)
  assert.equal(
    await talk(port, [['PING'], ['AUTH', placeholder], ['AUTH', placeholder], ['PING']], ends('PONG\r\n')),
    '-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+PONG\r\n',
  )
  await until(() => world.gate.records.length === 6)
  assert.ok(world.gate.records.every(({ outcome, method }) => outcome === 'allowed' && method === 'REDIS'))
  assert.equal(world.gate.records[0]?.user, server.username)
})

test('LEND-2: large values pass, and the password is covered wherever it stands', { skip }, async (t) => {
  const { cli, port, placeholder, server } = await opened(t)
  const large = 'y'.repeat(2_000_000)
  const store = [
    ['AUTH', placeholder],
    ['SET', 'large', large],
    ['GET', 'large'],
  ]
  const said = await talk(port, store, (text) => text.endsWith(`${large}\r\n`))
  assert.ok(said === `+OK\r\n+OK\r\n$${large.length}\r\n${large}\r\n`, 'whole')
  for (const text of [server.password, `${'z'.repeat(70_000)}${server.password}!`])
    await askRedis(server, 'SET', 'note', text)
  const covered = `${'z'.repeat(70_000)}${'*'.repeat(server.password.length)}!`
  assert.equal(await cli('GET', 'note'), `${covered}\n`)
})

test('LEND-2: what would tell or change credentials is refused, in its turn, and the connection goes on', {
  skip,
}, async (t) => {
  const world = await opened(t, { allow: ['EVAL'] })
  const { port, placeholder, cli, server } = world
  const tries = [
    ['CONFIG', 'GET', 'requirepass'],
    ['ACL', 'LIST'],
    ['acl', 'setuser', 'mine', 'on'],
    ['MIGRATE', '10.0.0.1', '6379', 'order', '0', '100'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['DEBUG', 'SLEEP', '0'],
    ['MODULE', 'LIST'],
    ['SCRIPT', 'LOAD', 'return 1'],
    ['EVALSHA', 'ff', '0'],
    ['MONITOR'],
    ['RESET'],
    ['CLIENT', 'LIST'],
    ['CLIENT', 'REPLY', 'OFF'],
  ]
  const commands = [
    ['AUTH', placeholder],
    ...tries.flatMap((words) => [['ECHO', 'before'], words]),
    ['ECHO', 'end'],
  ]
  const said = await talk(port, commands, (text) => text.endsWith('end\r\n'))
  const answers = said.replaceAll(/\$\d+\r\n/g, '').split('\r\n')
  for (const [at, [name = '']] of tries.entries()) {
    assert.equal(answers[1 + at * 2], 'before')
    assert.match(
      answers[2 + at * 2] ?? '',
      new RegExp(`^-NOPERM Keyward: ${name.toUpperCase()}( [A-Z]+)? is not lent`),
    )
  }
  assert.equal(await cli('EVAL', 'return 7', '0'), '7\n', 'what the grant allows is allowed')
  assert.deepEqual(await askRedis(server, 'ACL', 'USERS'), ['default', 'keyward'])
})

test('LEND-2: a refusal inside a transaction, or among messages, ends the connection', {
  skip,
}, async (t) => {
  const { port, placeholder, server } = await opened(t)
  const auth = ['AUTH', placeholder]
  const broken = await talk(
    port,
    [auth, ['MULTI'], ['SET', 'half', '1'], ['CONFIG', 'GET', '*'], ['EXEC']],
    untilEnd,
  )
  assert.match(broken, /-NOPERM Keyward: CONFIG/)
  assert.equal(await askRedis(server, 'GET', 'half'), null)
  const listening = await talk(port, [auth, ['SUBSCRIBE', 'news'], ['CONFIG', 'GET', '*']], untilEnd)
  assert.match(listening, /-NOPERM Keyward: CONFIG/)
  const heard = talk(port, [auth, ['SUBSCRIBE', 'news']], (text) => text.includes('hello'))
  await eventually(
    async () => (await askRedis(server, 'PUBLISH', 'news', 'hello')) === 1,
    'somebody to listen',
  )
  assert.match(await heard, /message\r\n\$4\r\nnews\r\n\$5\r\nhello/)
})

test('LEND-2: other passwords, other placeholders and malformed commands are refused', {
  skip,
}, async (t) => {
  const world = await opened(t)
  const { port, placeholder } = world
  assert.match(await talk(port, [['AUTH', 'guess']], untilEnd), /must be the placeholder/)
  assert.match(await talk(port, [['AUTH', newPlaceholder()]], untilEnd), /Nothing was lent/)
  const other = [['AUTH', placeholder], ['AUTH', newPlaceholder()], ['AUTH', 'guess'], ['PING']]
  assert.match(
    await talk(port, other, (text) => text.endsWith('PONG\r\n')),
    /^\+OK\r\n-WRONGPASS .*\r\n-WRONGPASS /,
  )
  assert.equal(
    await talk(
      port,
      [
        ['AUTH', placeholder],
        ['SET', 'x', placeholder],
      ],
      untilEnd,
    ),
    '+OK\r\n',
  )
  const raw = (text: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      let answer = ''
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
      socket.on('error', () => undefined).once('close', () => resolve(answer))
    })
  assert.match(await raw('GET / HTTP/1.1\r\n\r\n'), /not written in the protocol/)
  assert.match(await raw('*1\r\n$99999999\r\n'), /not written in the protocol/)
  const wrong = world.lend({ username: 'nobody', password: 'not the right one', mayShow: true })
  assert.match(await talk(port, [['AUTH', wrong]], untilEnd), /refused the login \(WRONGPASS\)/)
  await until(() => world.gate.records.length === 7)
  assert.deepEqual(
    world.gate.records.map(({ outcome }) => outcome),
    ['denied', 'denied', 'allowed', 'misused', 'denied', 'denied', 'failed'],
  )
})

test('LEND-2: a connection ends with its lease', { skip }, async (t) => {
  const world = await opened(t)
  const { port, placeholder, gate } = world
  const said = talk(
    port,
    [
      ['AUTH', placeholder],
      ['ECHO', 'here'],
      ['BLPOP', 'never', '0'],
    ],
    (text) => {
      if (text.includes('here')) world.proxy.cut({ leaseId: placeholder }, 'Its lease was revoked.')
      return false
    },
  )
  assert.match(await said, /here/)
  await until(() => gate.records.length === 1)
  assert.equal(gate.records[0]?.reason, 'Its lease was revoked.')
})

/** Once so many connections are recorded: why the last of them ended. */
async function lastReason({ gate }: Awaited<ReturnType<typeof opened>>, count: number): Promise<string> {
  await until(() => gate.records.length === count)
  return gate.records.at(-1)?.reason ?? ''
}

test('LEND-2: a login inside of a login signs in as nobody else', { skip }, async (t) => {
  const world = await opened(t)
  const { port, placeholder, server } = world
  await askRedis(server, 'ACL', 'SETUSER', 'open', 'on', 'nopass', '+@all')
  const twice = ['HELLO', '3', 'AUTH', 'keyward', placeholder, 'AUTH', 'open', 'anything']
  const thrice = [...twice.slice(0, 5), ...twice.slice(2)]
  const tries = [[twice], [['AUTH', placeholder], twice], [thrice]]
  for (const [at, commands] of tries.entries()) {
    const said = await talk(port, [...commands, ['ACL', 'WHOAMI']], (text) =>
      /(?:open|keyward)\r\n$/.test(text),
    )
    assert.ok(!said.includes('open'), 'not signed in as somebody else')
    assert.match(await lastReason(world, at + 1), /HELLO carries more than one login/)
  }
})

test('LEND-2: a command’s name with a NUL in it, which Redis may read as another, is refused', {
  skip,
}, async (t) => {
  const world = await opened(t)
  const { port, placeholder } = world
  for (const [at, name] of ['CONFIG\0x', 'FOO BAR', 'SH\u00fcTDOWN'].entries()) {
    const said = await talk(port, [['AUTH', placeholder], [name, 'GET', '*'], ['PING']], untilEnd)
    assert.equal(said, '+OK\r\n')
    assert.match(await lastReason(world, at + 1), /name of a command has characters that none has/)
  }
})

test('SAND-2: what a client makes the proxy hold for it has a limit', { skip }, async (t) => {
  const world = await opened(t)
  const { port, placeholder } = world
  const auth = ['AUTH', placeholder]
  const long = ['HELLO', ...new Array<string>(20).fill('x'.repeat(8000))]
  assert.equal(await talk(port, [auth, long], untilEnd), '+OK\r\n')
  assert.match(await lastReason(world, 1), /A login has more parts than any has/)
  const refused = new Array<string[]>(2000).fill(['SYNC'])
  assert.equal(await talk(port, [auth, ['BLPOP', 'never', '0'], ...refused], untilEnd), '+OK\r\n')
  assert.match(await lastReason(world, 2), /SYNC is not lent/)
})
