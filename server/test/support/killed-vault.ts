/**
 * A vault in a process that kills itself: it rekeys with verification, writing and rotating beside it, and ends at the n-th
 * boundary: before and after each statement of a write and each commit.
 *   node killed-vault.ts <settings file> <n>
 * Prints a line for the shares that it gave out, for each write that was acknowledged, and for the end of the rekey.
 */
import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor } from '../../src/audit/index.ts'
import { busMigrations } from '../../src/bus/index.ts'
import { Secret, silentLog, systemClock } from '../../src/core/index.ts'
import { openDataFolder, openStore, type Store, type Tx } from '../../src/store/index.ts'
import { createVault, vaultMigrations } from '../../src/vault/index.ts'

const [settingsFile = '', nth = '0'] = process.argv.slice(2)
const { dataDir, share, rootToken } = JSON.parse(readFileSync(settingsFile, 'utf8')) as {
  dataDir: string
  share: string
  rootToken: string
}
let armed = false
let left = Number(nth)

function boundary(): void {
  if (armed && --left === 0) process.kill(process.pid, 'SIGKILL')
}

/** Written at once: what a killed process had in a buffer would be lost. */
const say = (line: Record<string, unknown>): void => void writeSync(1, `${JSON.stringify(line)}\n`)

function withBoundaries(store: Store): Store {
  const counted = (tx: Tx): Tx => ({
    ...tx,
    async run(query) {
      boundary()
      const changed = await tx.run(query)
      boundary()
      return changed
    },
  })
  return {
    ...store,
    async write(work, durability) {
      boundary()
      const result = await store.write((tx) => work(counted(tx)), durability)
      boundary()
      return result
    },
  }
}

const folder = openDataFolder(dataDir)
const store = withBoundaries(await openStore({ dataDir }))
await store.migrate([...auditMigrations, ...busMigrations, ...vaultMigrations])
const audit = createAudit({
  store,
  clock: systemClock,
  anchor: createFileAnchor(join(dataDir, 'audit.anchor')),
  signingKey: async () => undefined,
})
const vault = createVault({
  store,
  audit,
  clock: systemClock,
  log: silentLog,
  keyFile: join(dataDir, 'unseal.key'),
})
await vault.load()
await vault.unseal(new Secret(share))

async function call(method: 'PUT' | 'GET', path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await vault.handle({
    method,
    path,
    query: {},
    token: new Secret(rootToken),
    body: body === undefined ? undefined : new Secret(JSON.stringify(body)),
  })
  if (answer.status >= 400) throw new Error(`${path}: ${answer.status} ${answer.body?.reveal()}`)
  return answer.body ? (JSON.parse(answer.body.reveal()) as Record<string, unknown>) : {}
}

const run = String(Date.now())
async function write(i: number): Promise<void> {
  await store.write((tx) => vault.kv.write(tx, `secret/k/${run}-${i}`, { value: new Secret(`${run}-${i}`) }))
  say({ written: `${run}-${i}` })
}

armed = true
const begun = await call('PUT', 'sys/rekey/init', {
  secret_shares: 1,
  secret_threshold: 1,
  require_verification: true,
})
const given = await call('PUT', 'sys/rekey/update', { key: share, nonce: begun['nonce'] })
const [fresh = ''] = given['keys'] as string[]
say({ share: fresh })
await Promise.all([
  call('PUT', 'sys/rekey/verify', { key: fresh, nonce: given['verification_nonce'] }).then(() =>
    say({ rekeyed: fresh }),
  ),
  ...Array.from({ length: 6 }, (_, i) => (i % 3 === 2 ? call('PUT', 'sys/rotate') : write(i))),
])
await Promise.all([call('PUT', 'sys/rotate'), write(100), write(101)])
armed = false
say({ end: true })
vault.close()
await store.close()
folder.release()
