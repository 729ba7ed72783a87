// Keys that change in a process that is killed: at every boundary either the old share or the new one opens, and nothing that
// was acknowledged is lost.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Secret } from '../src/core/index.ts'
import { memoryFolder } from './support/memory-folder.ts'
import { openUnsealedVault, openVault } from './support/vault-server.ts'

const program = fileURLToPath(new URL('./support/killed-vault.ts', import.meta.url))

type Line = { share?: string; written?: string; rekeyed?: string; end?: boolean }

async function runKilled(dataDir: string, settings: Record<string, string>, nth: number): Promise<Line[]> {
  const file = join(dataDir, 'settings.json')
  writeFileSync(file, JSON.stringify({ dataDir, ...settings }), { mode: 0o600 })
  const child = spawn(process.execPath, [program, file, String(nth)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  assert.ok(signal === 'SIGKILL' || code === 0, errors)
  return out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]))
}

/** Opens what a killed process left with the first of the shares that does it; returns that share. */
async function inspect(
  t: TestContext,
  dataDir: string,
  shares: readonly string[],
  written: readonly string[],
) {
  const { vault, close } = await openVault(t, { dataDir })
  const opening: string[] = []
  for (const share of shares) {
    const isOpen = await vault.unseal(new Secret(share)).then(
      ({ sealed }) => !sealed,
      () => false,
    )
    if (isOpen) opening.push(share)
    if (isOpen) break
  }
  assert.equal(opening.length, 1, 'one of the shares opens the vault')
  for (const name of written)
    assert.equal((await vault.kv.read(`secret/k/${name}`))?.data['value']?.reveal(), name, name)
  await close()
  return opening[0] ?? ''
}

test('VAULT-1: killed at any boundary of a rekey and of rotations, one share opens the vault and every write is there', async (t) => {
  const dataDir = memoryFolder(t)
  const first = await openUnsealedVault(t, { dataDir, seal: { seal: 'shamir', shares: 1, threshold: 1 } })
  const { rootToken } = first
  let [share = ''] = first.shares
  await first.close()
  const written: string[] = []
  let ends = 0
  let rekeyed = 0
  for (let nth = 1; ends === 0; nth += 1 + Math.floor(nth / 6)) {
    const lines = await runKilled(dataDir, { share, rootToken }, nth)
    const fresh = lines.flatMap((line) => line.share ?? [])
    const done = lines.flatMap((line) => line.rekeyed ?? [])
    written.push(...lines.flatMap((line) => line.written ?? []))
    ends += lines.filter(({ end }) => end).length
    rekeyed += done.length
    // A rekey that was acknowledged is there; of one that was not, either end is.
    share = await inspect(t, dataDir, done.length > 0 ? done : [share, ...fresh], written)
  }
  assert.ok(rekeyed > 0 && written.length > 0)
})
