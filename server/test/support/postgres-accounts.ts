import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import pg from 'pg'
import { createDatabase, startPostgres } from './postgres.ts'

type Cluster = Awaited<ReturnType<typeof startPostgres>>

/** A PostgreSQL server that asks everybody but the tests' own account for a password, with one account for Keyward. */
export type PostgresAccounts = {
  cluster: Cluster
  /** As its owner. */
  databaseUrl: string
  /** With `{{username}}` and `{{password}}`. */
  connectionUrl: string
  username: string
  password: string
  /** As the owner of the server. */
  query(text: string): Promise<Record<string, unknown>[]>
  /** Whether somebody is let in. */
  signsIn(username: string, password: string): Promise<boolean>
}

export async function startPostgresAccounts(
  t: Pick<TestContext, 'after'>,
  { superuser = true }: { superuser?: boolean } = {},
): Promise<PostgresAccounts> {
  const cluster = await startPostgres(t)
  const folder = new URL(cluster.url).searchParams.get('host') ?? ''
  const databaseUrl = await createDatabase(cluster)
  const rules = ['local all keyward trust', 'local all all scram-sha-256', '']
  writeFileSync(join(folder, 'data', 'pg_hba.conf'), rules.join('\n'))
  const query = (text: string): Promise<Record<string, unknown>[]> => asked(databaseUrl, text)
  await query('select pg_reload_conf()')
  const username = 'vault_root'
  const password = `root-${randomBytes(9).toString('hex')}`
  const rights = superuser ? 'superuser' : 'createrole'
  await query(`create role ${username} login ${rights} password '${password}'`)
  await query('create table orders (id int); insert into orders values (1)')
  await query(`grant select, insert on orders to ${username} with grant option`)
  await query(`grant usage, create on schema public to ${username} with grant option`)
  const withAccount = (name: string, secret: string): string =>
    databaseUrl.replace('//keyward@', `//${name}:${secret}@`)
  return {
    cluster,
    databaseUrl,
    connectionUrl: withAccount('{{username}}', '{{password}}'),
    username,
    password,
    query,
    async signsIn(name, secret) {
      try {
        await asked(withAccount(encodeURIComponent(name), encodeURIComponent(secret)), 'select 1')
        return true
      } catch {
        return false
      }
    },
  }
}

async function asked(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}
