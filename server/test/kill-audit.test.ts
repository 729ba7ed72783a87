// An audit log in a process that is killed while it records: every entry that was acknowledged is in the chain, once, and in order.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AuditEntry } from '@keyward/contract'
import { chainStart, problemOfEntry } from '../src/audit/index.ts'
import { memoryFolder } from './support/memory-folder.ts'
import { openWorld } from './support/world.ts'

const program = fileURLToPath(new URL('./support/killed-audit.ts', import.meta.url))

/** Lets the process kill itself at a boundary. */
async function runKilled(dataDir: string, mode: string, round: number, nth: number, file: string) {
  const args = [program, dataDir, mode, `r${round}`, String(nth), file]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', `${code} ${errors}`)
}

const numberOf = (target: string): number => Number(target.slice(target.lastIndexOf('-') + 1))

function assertChain(entries: readonly AuditEntry[]): void {
  let last = { seq: 0, hash: chainStart }
  for (const entry of entries) {
    assert.equal(problemOfEntry(entry, last), undefined)
    last = entry
  }
}

/** Of each caller of each round, one after the other without a gap. */
function assertOrder(entries: readonly AuditEntry[]): void {
  const last = new Map<string, number>()
  for (const { target } of entries) {
    const caller = target.slice(0, target.lastIndexOf('-'))
    assert.equal(numberOf(target), (last.get(caller) ?? -1) + 1, target)
    last.set(caller, numberOf(target))
  }
}

for (const mode of ['disk', 'kernel'])
  test(`GOV-1: killed at any moment, the chain has every entry that was acknowledged, once and in order (${mode})`, async (t) => {
    const dataDir = memoryFolder(t)
    const file = join(memoryFolder(t), 'acknowledged')
    for (const [round, nth] of [1, 8, 81, 666, 1801, 3202].entries())
      await runKilled(dataDir, mode, round, nth, file)
    const acknowledged = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    assert.ok(acknowledged.length > 2500)
    const { audit, close } = await openWorld(t, [], { dataDir })
    const entries: AuditEntry[] = []
    for (let cursor: string | undefined = '0'; cursor !== undefined; ) {
      const page = await audit.page({ limit: 500, order: 'asc', cursor })
      entries.push(...page.items)
      cursor = page.next ?? undefined
    }
    await close()
    assertChain(entries)
    assertOrder(entries)
    const known = new Set(entries.map(({ target }) => target))
    assert.deepEqual(
      acknowledged.filter((target) => !known.has(target)),
      [],
    )
  })
