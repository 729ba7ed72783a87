import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type AddressInfo, connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import { cleanUp } from '../../../test/support/clean-up.ts'
import { until } from '../../../test/support/egress.ts'
import { openRelayWorld } from '../../../test/support/relay-world.ts'
import { createAuthority } from '../x509.ts'
import { fatal, message, passwordMessage, signedIn, startupMessage } from './postgres-wire.ts'

const host = 'db.example.test'
const askInClear = message('R', Buffer.from([0, 0, 0, 3]))

/** A database that asks for the password itself, and then says what the test wants. */
async function opened(t: TestContext, sayTo: (password: string) => Iterable<Buffer>) {
  const authority = createAuthority({ now: () => new Date(), name: 'Database of a test' })
  const { certificatePem, keyPem } = authority.leafFor(host)
  const secureContext = createSecureContext({ cert: certificatePem, key: keyPem })
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write('S')
      const tls = new TLSSocket(socket, { isServer: true, secureContext })
      tls.on('error', () => undefined)
      tls.once('data', () => {
        tls.write(askInClear)
        tls.once('data', (answer: Buffer) => {
          for (const bytes of sayTo(answer.toString('utf8', 5).replace(/\0$/, ''))) tls.write(bytes)
        })
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => void server.close())
  const { port: real } = server.address() as AddressInfo
  const world = await openRelayWorld(t)
  const password = `long-${randomBytes(12).toString('hex')}`
  const placeholder = world.lend({ username: 'shop', password, mayShow: true })
  const relay = { kind: 'postgres', tls: 'verify' } as const
  const rule = { host, port: 5432, address: `127.0.0.1:${real}`, relay, caPem: authority.certificatePem }
  const { port } = await world.sandbox(rule)
  return { ...world, port, placeholder, password }
}

/** All that a client hears that signs in and says nothing more, until the end or until it is enough. */
function heardBy(port: number, placeholder: string, isEnough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    const parameters = new Map([
      ['user', 'shop'],
      ['database', 'orders'],
    ])
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(Buffer.concat([startupMessage(parameters), passwordMessage(placeholder)]))
    })
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (isEnough(text)) socket.destroy()
    })
    socket.on('error', () => undefined).once('close', () => resolve(text))
  })
}

test('LEND-2: a database that repeats the password in its refusal tells it to nobody', async (t) => {
  const world = await opened(t, (password) => [fatal('28P01', `wrong password ${password}`)])
  const heard = await heardBy(world.port, world.placeholder, () => false)
  assert.match(heard, /refused the login \(28P01\): wrong password \[redacted/)
  assert.ok(!heard.includes(world.password))
  await until(() => world.gate.records.length === 1)
  assert.ok(!JSON.stringify(world.gate.records).includes(world.password))
})

test('LEND-2: nor one that repeats it when it greets', async (t) => {
  const world = await opened(t, (password) => [
    signedIn,
    message('S', `application_name\0${password}\0`),
    message('Z', 'I'),
  ])
  const heard = await heardBy(world.port, world.placeholder, (text) => text.endsWith('I'))
  assert.match(heard, /application_name\0\*+\0/)
  assert.ok(!heard.includes(world.password))
})

test('SAND-2: a database that greets without an end is left', async (t) => {
  const notice = message('S', `server_version\0${'1'.repeat(60_000)}\0`)
  const world = await opened(t, () => [signedIn, ...new Array<Buffer>(100).fill(notice)])
  assert.match(await heardBy(world.port, world.placeholder, () => false), /greets without an end/)
})
