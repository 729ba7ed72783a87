/**
 * A vault in a process that ends what an earlier one left, then gives out, renews and revokes, and kills itself at the n-th boundary:
 * after any write to the store, before and after anything is done outside.
 *   node killed-leases.ts <data folder> <n> [<database URL>]
 * What is given out are files in `outside/`, which survive the process as a database's users would. Prints what it found before it
 * begins, as one line of JSON; ends with code 0 when there was no n-th boundary.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor } from '../../src/audit/index.ts'
import { busMigrations } from '../../src/bus/index.ts'
import { silentLog } from '../../src/core/index.ts'
import { openDataFolder, openStore } from '../../src/store/index.ts'
import { createVault, vaultMigrations } from '../../src/vault/index.ts'
import { createLedger } from './ledger.ts'
import { callerOf } from './vault-server.ts'
import { createTestClock } from './world.ts'

const [dataDir = '', nth = '0', databaseUrl] = process.argv.slice(2)
const hour = 3_600_000
let armed = false
let left = Number(nth)

function boundary(name: string): void {
  if (!armed || --left > 0) return
  appendFileSync(join(dataDir, 'killed-at.txt'), `${name}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const timeFile = join(dataDir, 'time.txt')
// Hours pass in each process, so the next one begins where it stopped.
const clock = createTestClock(
  new Date(existsSync(timeFile) ? Number(readFileSync(timeFile, 'utf8')) : Date.now()),
)
const outside = join(dataDir, 'outside')
mkdirSync(outside, { recursive: true })

const folder = openDataFolder(dataDir)
const opened = await openStore({ dataDir, databaseUrl })
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

const ledger = createLedger({ prefix: `p${process.pid}-` })
ledger.onMake = async (name) => {
  boundary('before making')
  writeFileSync(join(outside, name), '')
  boundary('made')
}
ledger.onEnd = async (name) => {
  boundary('before ending')
  rmSync(join(outside, name), { force: true })
  boundary('ended')
}
ledger.onExtend = async () => boundary('extended')

const keyFile = join(dataDir, 'unseal.key')
const rootFile = join(dataDir, 'root.txt')
const vault = createVault({
  store,
  audit,
  clock,
  log: silentLog,
  keyFile,
  engines: { ledger: async () => ledger.engine },
})
await vault.load()
if (vault.status().initialised) await vault.openAtStart()
else writeFileSync(rootFile, (await vault.initialise({ seal: 'keyfile' })).rootToken.reveal())
const root = callerOf(vault, readFileSync(rootFile, 'utf8'))

await vault.leases.idle()
const found = { outside: readdirSync(outside).length, live: await live() }
clock.advance(2 * hour)
while ((await vault.expireTokens()) > 0);
await vault.leases.idle()
clock.advance(hour)
await vault.leases.idle()
const rest = { outside: readdirSync(outside).length, leases: await vault.leases.count() }
writeFileSync(timeFile, String(clock.now().getTime()))
process.stdout.write(`${JSON.stringify({ found, rest })}\n`)

armed = left > 0
await root('POST', 'sys/mounts/books', { type: 'ledger' })
const parent = await tokenOf(root)
const child = await tokenOf(callerOf(vault, parent))
const [first] = [await grantTo(parent), await grantTo(child), await grantTo(child)]
await root('POST', 'sys/leases/renew', { lease_id: first })
await root('POST', 'sys/leases/revoke', { lease_id: first })
await root('POST', 'auth/token/revoke', { token: parent })
await vault.leases.idle()
const other = await tokenOf(root)
await grantTo(other)
clock.advance(hour / 4)
writeFileSync(timeFile, String(clock.now().getTime()))
await vault.leases.idle()
await grantTo(other)
await root('DELETE', 'sys/mounts/books')
armed = false
vault.close()
await store.close()
folder.release()

async function live(): Promise<number> {
  const { items } = await vault.leases.page({ limit: 500 })
  return items.filter(({ state }) => state === 'live').length
}

async function tokenOf(caller: typeof root): Promise<string> {
  const { body } = await caller('POST', 'auth/token/create', { policies: ['root'], ttl: '1h' })
  return (body['auth'] as { client_token: string }).client_token
}

async function grantTo(token: string): Promise<string> {
  const { body } = await callerOf(vault, token)('GET', 'books/creds/shop')
  return String(body['lease_id'])
}
