// TLS to databases: in front of each stands a small server that speaks it, with a certificate of the test's own.
import assert from 'node:assert/strict'
import { createConnection, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { newCertificate } from '../../../../test/support/certificate.ts'
import { postgresBinaries } from '../../../../test/support/postgres.ts'
import { startPostgresAccounts } from '../../../../test/support/postgres-accounts.ts'
import { hasRedis, startRedis } from '../../../../test/support/redis.ts'
import { Secret } from '../../../core/index.ts'
import { postgresKind } from './postgres/postgres-database.ts'
import { redisKind } from './redis/redis-database.ts'

const { cert, key, ca } = newCertificate('localhost')
const stranger = newCertificate('localhost').ca
/** PostgreSQL's request for TLS, before which nothing else is sent. */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

function join(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one)
  const end = (): void => {
    one.destroy()
    other.destroy()
  }
  one.on('error', end)
  other.on('error', end)
}

async function front(t: TestContext, accept: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    accept(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

const tlsOf = (socket: Socket): TLSSocket => new TLSSocket(socket, { isServer: true, cert, key })

test('VAULT-3: PostgreSQL: each sslmode checks what libpq says that it checks', {
  skip: !postgresBinaries() && 'PostgreSQL is not installed',
}, async (t) => {
  const { connectionUrl, username, password } = await startPostgresAccounts(t)
  const url = new URL(connectionUrl.replace('{{username}}:{{password}}@', ''))
  const path = `${url.searchParams.get('host')}/.s.PGSQL.5432`
  /** What came in the clear and encrypted. */
  const seen = { plain: 0, encrypted: 0 }
  const port = (offersTls: boolean): Promise<number> =>
    front(t, (socket) =>
      socket.once('data', (first: Buffer) => {
        if (!first.equals(sslRequest)) return plain(socket, first)
        socket.write(offersTls ? 'S' : 'N')
        return offersTls ? encrypted(socket) : socket.once('data', (next: Buffer) => plain(socket, next))
      }),
    )
  const encrypted = (socket: Socket): void => {
    seen.encrypted++
    join(tlsOf(socket), createConnection({ path }))
  }
  const plain = (socket: Socket, first: Buffer): void => {
    seen.plain++
    const server = createConnection({ path })
    server.write(first)
    join(socket, server)
  }
  const [withTls, withoutTls] = [await port(true), await port(false)]

  async function connects(at: number, sslmode: string, host: string, more: Record<string, unknown> = {}) {
    Object.assign(seen, { plain: 0, encrypted: 0 })
    const connection_url = `postgres://{{username}}:{{password}}@${host}:${at}${url.pathname}?sslmode=${sslmode}`
    const details = { connection_url, username, ...more }
    const database = await postgresKind.open({
      id: 'a',
      details,
      password: new Secret(password),
      secrets: {},
    })
    const outcome = await database.check().then(
      () => (seen.encrypted > 0 && seen.plain === 0 ? 'encrypted' : 'plain'),
      () => 'refused',
    )
    database.close()
    return outcome
  }

  const trusted = { tls_ca: ca }
  const cases: [string, string, Record<string, unknown>, string, string][] = [
    ['disable', 'localhost', {}, 'plain', 'plain'],
    ['allow', 'localhost', {}, 'plain', 'plain'],
    ['prefer', 'localhost', {}, 'encrypted', 'plain'],
    ['require', 'localhost', {}, 'encrypted', 'refused'],
    ['require', 'localhost', { tls_ca: stranger }, 'refused', 'refused'],
    ['verify-ca', 'localhost', {}, 'refused', 'refused'],
    ['verify-ca', '127.0.0.1', trusted, 'encrypted', 'refused'],
    ['verify-full', '127.0.0.1', trusted, 'refused', 'refused'],
    ['verify-full', 'localhost', trusted, 'encrypted', 'refused'],
    ['verify-full', 'localhost', { tls_ca: stranger }, 'refused', 'refused'],
  ]
  for (const [mode, host, more, offered, missing] of cases) {
    const about = `${mode} to ${host} ${Object.keys(more)}`
    assert.equal(await connects(withTls, mode, host, more), offered, about)
    assert.equal(await connects(withoutTls, mode, host, more), missing, `${about}, without TLS`)
  }
})

test('VAULT-3: Redis: a certificate is verified, unless that is switched off by name', {
  skip: !hasRedis() && 'Redis is not installed',
}, async (t) => {
  const { port, username, password } = await startRedis(t)
  const tlsPort = await front(t, (socket) =>
    join(tlsOf(socket), createConnection({ port, host: '127.0.0.1' })),
  )
  const check = async (more: Record<string, unknown>): Promise<void> => {
    const details = { host: 'localhost', port: tlsPort, username, tls: true, ...more }
    const database = await redisKind.open({ id: 'a', details, password: new Secret(password), secrets: {} })
    await database.check().finally(database.close)
  }
  await check({ ca_cert: ca })
  await check({ insecure_tls: true })
  await assert.rejects(check({ ca_cert: stranger }), { code: 'database.unreachable' })
  await assert.rejects(check({ ca_cert: ca, host: '127.0.0.1' }), { code: 'database.unreachable' })
})
