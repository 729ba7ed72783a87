/**
 * A vault in a process that finishes what an earlier one left in a database, then makes and ends users and changes passwords, and
 * kills itself at the n-th boundary: after any write to the store, before any message to PostgreSQL, and when it is sent.
 *   node killed-database.ts <settings file> <n>
 * Prints what it found before it begins, as one line of JSON; ends with code 0 when there was no n-th boundary.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { auditMigrations, createAudit, createFileAnchor } from '../../src/audit/index.ts'
import { busMigrations } from '../../src/bus/index.ts'
import { silentLog } from '../../src/core/index.ts'
import { openDataFolder, openStore } from '../../src/store/index.ts'
import { createVault, vaultMigrations } from '../../src/vault/index.ts'
import { callerOf } from './vault-server.ts'
import { createTestClock } from './world.ts'

type Settings = {
  dataDir: string
  ownerUrl: string
  connectionUrl: string
  username: string
  password: string
}

const [settingsFile = '', nth = '0'] = process.argv.slice(2)
const { dataDir, ownerUrl, connectionUrl, username, password } = JSON.parse(
  readFileSync(settingsFile, 'utf8'),
) as Settings
let armed = false
let left = Number(nth)

function boundary(name: string): void {
  if (!armed || --left > 0) return
  appendFileSync(join(dataDir, 'killed-at.txt'), `${name}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const { query } = pg.Client.prototype
pg.Client.prototype.query = function (this: pg.Client, ...words: unknown[]) {
  boundary('before sending')
  const answer: unknown = Reflect.apply(query, this, words)
  boundary('sent')
  return answer
} as typeof query

const timeFile = join(dataDir, 'time.txt')
const clock = createTestClock(
  new Date(existsSync(timeFile) ? Number(readFileSync(timeFile, 'utf8')) : Date.now()),
)
const folder = openDataFolder(dataDir)
const opened = await openStore({ dataDir })
const store: typeof opened = {
  ...opened,
  async write(work, durability) {
    const result = await opened.write(work, durability)
    boundary('written')
    return result
  },
}
await store.migrate([...auditMigrations, ...busMigrations, ...vaultMigrations])
const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
const vault = createVault({ store, audit, clock, log: silentLog, keyFile: join(dataDir, 'unseal.key') })
const rootFile = join(dataDir, 'root.txt')
await vault.load()
if (vault.status().initialised) await vault.openAtStart()
else writeFileSync(rootFile, (await vault.initialise({ seal: 'keyfile' })).rootToken.reveal())
const root = callerOf(vault, readFileSync(rootFile, 'utf8'))

async function asOwner(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows
}

async function signsIn(name: string, secret: string): Promise<boolean> {
  const url = connectionUrl.replace('{{username}}', name).replace('{{password}}', encodeURIComponent(secret))
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

const creation = [
  `create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'`,
  'grant select on orders to "{{name}}"',
]
if ((await root('GET', 'database/config/shop')).status === 404) {
  await root('POST', 'sys/mounts/database', { type: 'database' })
  const config = { plugin_name: 'postgresql-database-plugin', allowed_roles: '*' }
  await root('POST', 'database/config/shop', {
    ...config,
    connection_url: connectionUrl,
    username,
    password,
  })
  await root('POST', 'database/roles/reader', {
    db_name: 'shop',
    creation_statements: creation,
    default_ttl: '24h',
  })
  await root('POST', 'database/static-roles/app', {
    db_name: 'shop',
    username: 'app',
    rotation_period: '720h',
  })
}

/** What clients may rely on, as soon as what an earlier process left is finished. */
async function state() {
  const roles = (await asOwner(`select rolname from pg_roles where rolname like 'v-%'`)).length
  const { data } = (await root('GET', 'database/static-creds/app')).body as { data?: { password: string } }
  return {
    unleased: roles - (await vault.leases.count()),
    app: data !== undefined && (await signsIn('app', data.password)),
    reachable: (await root('POST', 'database/reset/shop')).status === 204,
  }
}

const well = JSON.stringify({ unleased: 0, app: true, reachable: true })
let found = ''
for (let attempt = 0; attempt < 200 && found !== well; attempt++) {
  await vault.leases.idle()
  found = JSON.stringify(await state())
  clock.advance(5000)
  if (found !== well) await sleep(20)
}
process.stdout.write(found)

armed = left > 0
const lease = (await root('GET', 'database/creds/reader')).body['lease_id']
await root('POST', 'database/rotate-role/app')
await root('POST', 'database/rotate-root/shop')
await root('PUT', 'sys/leases/revoke', { lease_id: lease, sync: true })
armed = false
writeFileSync(timeFile, String(clock.now().getTime()))
vault.close()
await store.close()
folder.release()
