import { randomBytes } from 'node:crypto'
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pg from 'pg'
import { createAuthority } from '../../src/proxy/x509.ts'
import { freePort } from './free-port.ts'
import { createDatabase, startPostgres } from './postgres.ts'

export type RelayPostgres = {
  /** `127.0.0.1:port`, for a rule's `address`. */
  readonly address: string
  readonly caPem: string
  readonly database: string
  /** One that exists, too, and is lent to nobody. */
  readonly otherDatabase: string
  /** Signs in by SCRAM. */
  readonly username: string
  readonly password: string
  /** As the owner of the server. */
  query(text: string): Promise<Record<string, unknown>[]>
  /** Who signs in how, first line first: `hostssl all shop_md5 all md5`. */
  allow(...lines: string[]): Promise<void>
}

/** A PostgreSQL server that listens on loopback, in TLS for `host` and without. */
export async function startRelayPostgres(t: TestContext, host: string): Promise<RelayPostgres> {
  const authority = createAuthority({ now: () => new Date(), name: 'Databases of a test' })
  const { certificatePem, keyPem } = authority.leafFor(host)
  let port = 0
  let dataFolder = ''
  const cluster = await startPostgres(t, async (folder, user) => {
    port = await freePort()
    dataFolder = join(folder, 'data')
    for (const [name, content] of [
      ['server.crt', certificatePem],
      ['server.key', keyPem],
    ] as const) {
      writeFileSync(join(dataFolder, name), content, { mode: 0o600 })
      if (user) chownSync(join(dataFolder, name), user.uid, user.gid)
    }
    return { port, words: ['-c', 'listen_addresses=127.0.0.1', '-c', 'ssl=on'] }
  })
  const url = `${cluster.url}&port=${port}`
  const [databaseUrl, otherUrl] = [await createDatabase({ url }), await createDatabase({ url })]
  const query = async (text: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  }
  const username = 'shop_reader'
  const password = `pw-${randomBytes(12).toString('hex')}`
  await query(`create role ${username} login password '${password}'`)
  const allow = async (...lines: string[]): Promise<void> => {
    const rules = ['local all keyward trust', ...lines, 'host all all 127.0.0.1/32 scram-sha-256', '']
    writeFileSync(join(dataFolder, 'pg_hba.conf'), rules.join('\n'))
    await query('select pg_reload_conf()')
  }
  await allow()
  const nameIn = (text: string): string => new URL(text).pathname.slice(1)
  return {
    address: `127.0.0.1:${port}`,
    caPem: authority.certificatePem,
    database: nameIn(databaseUrl),
    otherDatabase: nameIn(otherUrl),
    username,
    password,
    query,
    allow,
  }
}
