import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { cleanUp } from '../../../test/support/clean-up.ts'
import { newPlaceholder, until } from '../../../test/support/egress.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { postgresBinaries } from '../../../test/support/postgres.ts'
import { type RelayPostgres, startRelayPostgres } from '../../../test/support/relay-postgres.ts'
import { openRelayWorld, type RelayWorld } from '../../../test/support/relay-world.ts'
import type { EgressRule } from '../destination.ts'
import { int32, message } from './postgres-wire.ts'

const host = 'db.example.test'
const rows = async (client: pg.Client, text: string) => (await client.query(text)).rows

type Place = {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** A client as a sandbox has it: without TLS, at a port of loopback. */
async function signIn(t: TestContext, place: Place, more: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', ssl: false, ...place, ...more })
  client.on('error', () => undefined)
  cleanUp(t, () => client.end().catch(() => undefined))
  await client.connect()
  return client
}

const ruleFor = ({ address, caPem }: RelayPostgres, tls: 'verify' | 'none' = 'verify'): EgressRule => ({
  host,
  port: 5432,
  address,
  caPem,
  relay: { kind: 'postgres', tls },
})

async function opened(t: TestContext, server: RelayPostgres, rule = ruleFor(server)) {
  const world = await openRelayWorld(t)
  const { username, password, database } = server
  const placeholder = world.lend({ username, password, database })
  const { port, sandboxId, socketPath } = await world.sandbox(rule)
  const place = { port, user: 'keyward', password: placeholder, database }
  return { ...world, placeholder, place, sandboxId, socketPath }
}

const reasons = ({ gate }: RelayWorld): string[] => gate.records.map(({ reason }) => reason ?? '')

const skip = postgresBinaries() ? false : 'PostgreSQL is not installed'

test('LEND-2: a login of PostgreSQL is made outside of the sandbox', { skip }, async (t) => {
  const server = await startRelayPostgres(t, host)

  await t.test('LEND-2: the placeholder opens a connection whose password never came near', async (t) => {
    const world = await opened(t, server)
    const client = await signIn(t, world.place)
    const [row] = await rows(
      client,
      'select current_user as name, ssl from pg_stat_ssl where pid = pg_backend_pid()',
    )
    assert.deepEqual(row, { name: server.username, ssl: true })
    await client.end()
    await until(() => world.gate.records.length === 1)
    const [entry] = world.gate.records
    assert.deepEqual(
      [entry?.method, entry?.path, entry?.user, entry?.outcome, entry?.reason, entry?.leaseIds],
      ['POSTGRES', `/${server.database}`, server.username, 'allowed', null, [world.placeholder]],
    )
    assert.ok((entry?.bytesIn ?? 0) > 20 && (entry?.bytesOut ?? 0) > 20)
    assert.equal(world.signIns[0]?.user, 'keyward')
  })

  await t.test('LEND-2: much data passes whole, both ways', async (t) => {
    const { place } = await opened(t, server)
    const client = await signIn(t, place)
    await client.query('create temp table pages (id int, body text)')
    const body = 'x'.repeat(300_000)
    for (let id = 0; id < 20; id++) await client.query('insert into pages values ($1, $2)', [id, body])
    const found = await rows(client, 'select sum(length(body))::int as sum, max(body) as body from pages')
    assert.equal(found[0]?.['sum'], 20 * body.length)
    assert.equal(found[0]?.['body'], body)
    assert.equal((await rows(client, 'select generate_series(1, 50000) as n')).length, 50_000)
  })

  await t.test(
    'LEND-2: md5 and a cleartext password only inside TLS, the latter only where it was granted',
    async (t) => {
      await server.query(
        `set password_encryption = 'md5'; create role old_reader login password '${server.password}'`,
      )
      await server.allow('host all old_reader all md5', `host all ${server.username} all password`)
      const world = await opened(t, server)
      const lend = (username: string, mayShow: boolean) =>
        world.lend({ username, password: server.password, mayShow })
      const old = await signIn(t, { ...world.place, password: lend('old_reader', false) })
      assert.equal((await rows(old, 'select current_user as name'))[0]?.['name'], 'old_reader')
      const shown = await signIn(t, { ...world.place, password: lend(server.username, true) })
      const [echo] = await rows(
        shown,
        `select '${server.password}' as value, length('${server.password}') as length`,
      )
      assert.equal(echo?.['value'], '*'.repeat(server.password.length), 'what the child knows is covered')
      assert.equal(echo?.['length'], server.password.length)
      await assert.rejects(
        signIn(t, { ...world.place, password: lend(server.username, false) }),
        /asks for the password itself/,
      )
      const plain = await world.sandbox(ruleFor(server, 'none'))
      for (const name of ['old_reader', server.username])
        await assert.rejects(
          signIn(t, { ...world.place, port: plain.port, password: lend(name, true) }),
          /must offer SCRAM-SHA-256/,
        )
      await server.allow()
    },
  )

  await t.test('LEND-2: other databases, users, placeholders and passwords are refused', async (t) => {
    const world = await opened(t, server)
    const { place } = world
    await assert.rejects(signIn(t, { ...place, database: server.otherDatabase }), /lease is for/)
    await assert.rejects(signIn(t, { ...place, password: newPlaceholder() }), /Nothing was lent/)
    await assert.rejects(signIn(t, { ...place, password: 'guessed' }), /must be the placeholder/)
    await assert.rejects(signIn(t, { ...place, password: `${place.password}x` }), /must be the placeholder/)
    await assert.rejects(
      signIn(t, place, { replication: 'database' } as pg.ClientConfig),
      /replication is not lent/,
    )
    const gone = world.lend({ username: 'nobody_here', password: server.password })
    await assert.rejects(signIn(t, { ...place, password: gone }), /refused the login \(28P01\)/)
    await until(() => world.gate.records.length === 6)
    assert.ok(world.gate.records.every(({ outcome }) => outcome !== 'allowed'))
    assert.equal(reasons(world).filter((reason) => reason.includes(server.password)).length, 0)
  })

  await t.test(
    'LEND-2: a server whose certificate is not trusted, or that has no TLS, is not spoken to',
    async (t) => {
      const { caPem: _, ...untrusting } = ruleFor(server)
      const { place } = await opened(t, server, untrusting)
      await assert.rejects(signIn(t, place), /The connection was not made \(.*(?:CERT|SIGNATURE|ISSUER).*\)/)
      const elsewhere = await opened(t, server, { ...ruleFor(server), host: 'other.example.test' })
      await assert.rejects(signIn(t, elsewhere.place), /ALTNAME/)
      const plain = createServer((socket) =>
        socket.on('error', () => undefined).once('data', () => socket.write('N')),
      )
      await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
      cleanUp(t, () => void plain.close())
      const address = `127.0.0.1:${(plain.address() as AddressInfo).port}`
      const bare = await opened(t, server, { ...ruleFor(server), address })
      await assert.rejects(signIn(t, bare.place), /offers no TLS/)
    },
  )

  await t.test('LEND-2: a connection ends with its lease, and with the bytes it was given', async (t) => {
    const world = await opened(t, server)
    const client = await signIn(t, world.place)
    const lost = new Promise((resolve) => client.once('end', resolve))
    await rows(client, 'select 1')
    await until(() => world.proxy.openNow().postgres === 1)
    world.proxy.cut({ leaseId: 'another lease' }, 'It ended.')
    await rows(client, 'select 1')
    world.proxy.cut({ leaseId: world.placeholder }, 'Its lease ended.')
    await lost
    const { username, password } = server
    const small = await signIn(t, {
      ...world.place,
      password: world.lend({ username, password, bytesLeft: 20_000 }),
    })
    await assert.rejects(rows(small, 'select generate_series(1, 100000)'))
    await until(() => world.gate.records.length === 2)
    assert.match(reasons(world)[0] ?? '', /lease ended/)
    assert.match(reasons(world)[1] ?? '', /bytes that the lease was given/)
  })

  await t.test('LEND-2: a placeholder inside of a query stops the connection, and is an alert', async (t) => {
    const world = await opened(t, server)
    const client = await signIn(t, world.place)
    await assert.rejects(rows(client, `select '${world.placeholder}'`))
    await until(() => world.gate.records.length === 1)
    assert.equal(world.gate.records[0]?.outcome, 'misused')
  })

  await t.test('LEND-2: only the own connection is cancelled, whatever key is named', async (t) => {
    const world = await opened(t, server)
    const client = await signIn(t, world.place)
    const stranger = await world.sandbox(ruleFor(server))
    const cancelled = assert.rejects(
      rows(client, 'select pg_sleep(600)'),
      /canceling statement due to user request/,
    )
    const { processID, secretKey } = client as pg.Client & { processID: number; secretKey: number }
    const isAsleep = async () =>
      (
        await server.query(
          "select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'",
        )
      ).length === 1
    await eventually(isAsleep, 'the query to run')
    const [{ pid = 0 } = {}] = (await server.query(
      "select pid from pg_stat_activity where query like 'select pg_sleep%'",
    )) as { pid: number }[]
    assert.notEqual(pid, processID, 'the real key stays outside')
    await cancelAt(stranger.port, processID, secretKey)
    await cancelAt(world.place.port, processID, secretKey ^ 1)
    await cancelAt(world.place.port, pid, secretKey)
    assert.ok(await isAsleep())
    await cancelAt(world.place.port, processID, secretKey)
    await cancelled
    await rows(client, 'select 1')
    await until(() => world.gate.records.length === 4)
    const cancels = world.gate.records.map(({ method, outcome }) => `${method} ${outcome}`)
    assert.deepEqual(cancels, [...Array(3).fill('POSTGRES CANCEL denied'), 'POSTGRES CANCEL allowed'])
  })

  await t.test('LEND-2: a first packet that is too long, or malformed, is refused', async (t) => {
    const world = await opened(t, server)
    const packet = (code: number, rest: string) => {
      const bytes = Buffer.alloc(8 + Buffer.byteLength(rest))
      bytes.writeUInt32BE(bytes.length)
      bytes.writeUInt32BE(code, 4)
      bytes.write(rest, 8)
      return bytes
    }
    const v3 = 3 << 16
    const { port } = world.place
    assert.match(await said(port, packet(v3, `user\0${'x'.repeat(20_000)}\0\0`)), /it may have 10000/)
    assert.match(await said(port, packet(v3, 'user\0x\0user\0y\0\0')), /stands twice/)
    assert.match(await said(port, packet(v3, 'user\0x')), /malformed/)
    assert.match(await said(port, packet(v3, 'database\0x\0\0')), /names no user/)
    assert.match(await said(port, packet(2 << 16, 'user\0x\0\0')), /not version 3/)
    assert.match(await said(port, Buffer.from('GET / HTTP/1.1\r\n\r\n')), /it may have 10000/)
    await until(() => world.gate.records.length === 6)
    assert.equal(world.signIns.length, 0)
  })
})

test('LEND-2: a server that does not show that it knows the password is not signed in at', {
  skip,
}, async (t) => {
  const world = await openRelayWorld(t)
  const iterations = { few: 'i=1', enough: 'i=4096' }
  for (const [rounds, says] of [
    [iterations.few, /does not follow SCRAM/],
    [iterations.enough, /did not show that it knows/],
  ] as const) {
    const address = await liar(t, rounds)
    const { port } = await world.sandbox({
      host,
      port: 5432,
      address,
      relay: { kind: 'postgres', tls: 'none' },
    })
    const password = world.lend({ username: 'shop_reader', password: 'never sent anywhere' })
    await assert.rejects(signIn(t, { port, user: 'keyward', password, database: 'shop' }), says)
  }
})

/** A server that takes every proof, and shows none of its own. */
async function liar(t: TestContext, rounds: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    const next = () => new Promise<Buffer>((resolve) => socket.once('data', resolve))
    const answers = async () => {
      await next()
      socket.write(message('R', int32(10), 'SCRAM-SHA-256\0\0'))
      const [, nonce = ''] = /,r=(.*)$/.exec((await next()).toString('latin1')) ?? []
      socket.write(message('R', int32(11), `r=${nonce}more,s=AAAA,${rounds}`))
      await next()
      socket.write(message('R', int32(12), 'v=AAAA'))
      socket.write(message('R', int32(0)))
    }
    void answers()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What comes back until the end. */
function said(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(text))
  })
}

async function cancelAt(port: number, pid: number, key: number): Promise<void> {
  const bytes = Buffer.alloc(16)
  for (const [at, value] of [16, 80_877_102, pid, key].entries()) bytes.writeInt32BE(value, at * 4)
  await said(port, bytes)
}
