/**
 * An audit log in a process that kills itself: several callers record reads one after the other, with a change now and then. It ends at the
 * n-th boundary: before and after each entry. Each entry that was acknowledged is a line in a file.
 *   node killed-audit.ts <data folder> <disk|kernel> <name of the round> <n> <file>
 */
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor, openFileJournal } from '../../src/audit/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { openDataFolder, openStore } from '../../src/store/index.ts'

const [dataDir = '', mode, round = '', nth = '0', file = ''] = process.argv.slice(2)
let left = Number(nth)
const durability = mode === 'kernel' ? 'kernel' : 'disk'
const callers = 6
/** Long enough that the journal goes round its file a few times. */
const detail = { note: 'x'.repeat(3000) }

function boundary(): void {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}

const acknowledged = openSync(file, 'a')
openDataFolder(dataDir)
const store = await openStore({ dataDir })
await store.migrate(auditMigrations)
const audit = createAudit({
  store,
  clock: systemClock,
  anchor: createFileAnchor(join(dataDir, 'audit.anchor')),
  signingKey: async () => undefined,
  readDurability: durability,
  journal: openFileJournal(join(dataDir, 'audit.journal'), durability),
})
await audit.start()

async function call(caller: number): Promise<never> {
  for (let i = 0; ; i++) {
    const target = `secret:${round}-${caller}-${i}`
    const entry = { outcome: 'done', actor: `agent:${caller}`, target, detail } as const
    boundary()
    if (i % 50 === caller) await audit.recordNow({ ...entry, type: 'secret.written' })
    else await audit.recordRead({ ...entry, type: 'secret.read' })
    writeSync(acknowledged, `${target}\n`)
    boundary()
  }
}

await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)))
