// From a value in a file to a reference and back, with the real scanner, vault and store.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FindingView } from '@keyward/contract'
import { olga, openFindingsWorld } from '../../test/support/findings-world.ts'
import { newPaymentsKey } from '../../test/support/leaky-project.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import type { AppError } from '../core/index.ts'

const by = olga
const runId = 'run_1'

async function open(t: TestContext) {
  const world = await openFindingsWorld(t)
  const { store, findings } = world

  /** All steps of an import, as the flow does them. */
  async function importAll(ids: readonly string[], run = runId): Promise<void> {
    const preview = await findings.preview(ids)
    await store.write((tx) => findings.claim(tx, ids, run))
    for (const id of ids) {
      const { commit } = await findings.storeValue(id, run)
      await store.write(commit)
    }
    for (const { file, sha256Before, sha256After } of preview.files) {
      const { commit } = await findings.rewriteFile(run, { findingIds: ids, file, sha256Before, sha256After })
      await store.write(commit)
    }
    await store.write(async (tx) => void (await findings.finishImport(tx, run)))
  }
  return { ...world, importAll }
}

const idsOf = (items: readonly FindingView[]): string[] => items.map(({ id }) => id)

/** What stands in the place of a value named STRIPE_KEY. */
const referenceIn = (root: string): string => `keyward://secret/${slug(basename(root))}/stripe-key#value`
const slug = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')

const syntaxes: readonly [what: string, file: string, before: string, after?: string][] = [
  ['dotenv, bare', '.env', 'A=1\nSTRIPE_KEY=@\nB=2\n', 'A=1\nSTRIPE_KEY="@"\nB=2\n'],
  ['dotenv, quoted', '.env', 'STRIPE_KEY="@" # live\n'],
  ['dotenv, single quotes', '.env', "STRIPE_KEY='@'\n"],
  ['dotenv, Windows lines', '.env', 'STRIPE_KEY=@\r\nB=2\r\n', 'STRIPE_KEY="@"\r\nB=2\r\n'],
  ['dotenv, no end of line', '.env', 'STRIPE_KEY=@', 'STRIPE_KEY="@"'],
  ['dotenv, byte order mark', '.env', '\ufeffSTRIPE_KEY=@\n', '\ufeffSTRIPE_KEY="@"\n'],
  ['shell', 'deploy.sh', '#!/bin/sh\nexport STRIPE_KEY=@\n', '#!/bin/sh\nexport STRIPE_KEY="@"\n'],
  ['YAML, bare', 'app.yaml', 'pay:\n  stripe_key: @\n  x: 1\n', 'pay:\n  stripe_key: "@"\n  x: 1\n'],
  ['YAML, quoted', 'app.yaml', 'pay:\n  stripe_key: "@"\n'],
  ['JSON', 'app.json', '{ "stripeKey": "@", "x": 1 }\n'],
  ['TOML', 'app.toml', '[pay]\nstripe_key = "@"\n'],
  ['INI', 'app.ini', '[pay]\nstripe_key = @\n'],
  ['properties', 'app.properties', 'stripe.key=@\n'],
  ['XML', 'app.xml', '<a><stripe_key>@</stripe_key></a>\n'],
  ['code', 'app.ts', "const stripeKey = '@'\n"],
]

for (const [what, file, before, after = before] of syntaxes)
  test(`DISC-5: ${what}: the reference takes the place of the value, and no other byte changes`, async (t) => {
    const { root, write, read, scan, importAll, findings } = await open(t)
    const value = newPaymentsKey()
    write(file, before.replace('@', value))
    const items = await scan()
    assert.equal(items.length, 1)
    const { secrets } = await findings.preview(idsOf(items))
    await importAll(idsOf(items))
    assert.equal(read(file).toString(), after.replace('@', secrets[0]?.reference ?? ''))
    assert.match(secrets[0]?.reference ?? '', new RegExp(`^keyward://secret/${slug(basename(root))}/`))
    await findings.undo(runId, by)
    assert.equal(read(file).toString(), before.replace('@', value))
  })

for (const encoding of ['utf16le', 'utf16be'] as const)
  test(`DISC-5: a file in ${encoding} keeps its encoding`, async (t) => {
    const { write, read, scan, importAll, findings } = await open(t)
    const encoded = (text: string): Buffer => {
      const little = Buffer.from(`\ufeff${text}`, 'utf16le')
      return encoding === 'utf16le' ? little : little.swap16()
    }
    const original = encoded(`STRIPE_KEY=${newPaymentsKey()}\r\nPORT=1\r\n`)
    write('.env', original)
    const items = await scan()
    const { secrets } = await findings.preview(idsOf(items))
    await importAll(idsOf(items))
    assert.deepEqual(read('.env'), encoded(`STRIPE_KEY=${secrets[0]?.reference}\r\nPORT=1\r\n`))
    await findings.undo(runId, by)
    assert.deepEqual(read('.env'), original)
  })

test('DISC-5: what is shown is masked, also the values beside it that were not chosen', async (t) => {
  const { write, scan, findings } = await open(t)
  const [chosen, other, third] = [newPaymentsKey(), newPaymentsKey(), newPaymentsKey()]
  write('app.json', `{ "stripeKey": "${chosen}", "backupKey": "${other}", "oldKey": "${third}" }\n`)
  const items = await scan()
  assert.equal(items.length, 3)
  const preview = await findings.preview([
    items.find(({ masked }) => chosen.endsWith(masked.slice(-4)))?.id ?? '',
  ])
  const text = JSON.stringify(preview)
  for (const value of [chosen, other, third]) assert.ok(!text.includes(value), 'a value is shown')
  assert.equal(preview.files[0]?.lines.length, 1)
  assert.match(
    preview.files[0]?.lines[0]?.after ?? '',
    /"stripeKey": "keyward:.*"backupKey": "[^"]+", "oldKey": "/,
  )
  assert.deepEqual(await findings.preview(preview.secrets.map(({ findingId }) => findingId)), preview)
})

test('DISC-5: one value in two files is one secret, and both files change', async (t) => {
  const { write, read, scan, importAll, vault, root } = await open(t)
  const value = newPaymentsKey()
  write('.env', `STRIPE_KEY=${value}\n`)
  write('deep/app.yaml', `stripe_key: "${value}"\nagain: "${value}"\n`)
  const items = await scan()
  assert.equal(items.length, 1)
  await importAll(idsOf(items))
  assert.equal(read('.env').toString(), `STRIPE_KEY="${referenceIn(root)}"\n`)
  assert.ok(!read('deep/app.yaml').toString().includes(value))
  const stored = await vault.kv.read(`secret/${slug(basename(root))}/stripe-key`)
  assert.deepEqual([stored?.version, stored?.data['value']?.reveal()], [1, value])
})

test('DISC-5: a step done twice does nothing twice', async (t) => {
  const { write, read, scan, findings, store, vault, root } = await open(t)
  const value = newPaymentsKey()
  write('.env', `STRIPE_KEY=${value}\n`)
  const ids = idsOf(await scan())
  const { files } = await findings.preview(ids)
  const [planned] = files
  assert.ok(planned)
  await store.write((tx) => findings.claim(tx, ids, runId))
  for (let i = 0; i < 2; i++) {
    const { commit } = await findings.storeValue(ids[0] ?? '', runId)
    await store.write(commit)
  }
  const change = {
    findingIds: ids,
    file: planned.file,
    sha256Before: planned.sha256Before,
    sha256After: planned.sha256After,
  }
  // As after a crash between the file and the database: written, and not told.
  await findings.rewriteFile(runId, change)
  const { commit } = await findings.rewriteFile(runId, change)
  await store.write(commit)
  const stored = await vault.kv.read(`secret/${slug(basename(root))}/stripe-key`)
  assert.equal(stored?.version, 1)
  assert.match(read('.env').toString(), /^STRIPE_KEY="keyward:[^"]*"\n$/)
  await store.write(async (tx) => void (await findings.finishImport(tx, runId)))
  await findings.undo(runId, by)
  assert.equal(read('.env').toString(), `STRIPE_KEY=${value}\n`)
})

test('DISC-5: a value that its program puts together from pieces is refused, and its file is left as it is', async (t) => {
  const { scan, write, read, findings } = await open(t)
  const key = newPaymentsKey()
  const text = `key = "${key.slice(0, 12)}" + "${key.slice(12)}"\n`
  write('app.py', text)
  const [finding] = await scan()
  assert.ok(finding)
  await assert.rejects(findings.preview([finding.id]), (error: AppError) => {
    assert.match(error.detail ?? '', /app\.py, line 1, holds the value .* in pieces/)
    return error.code === 'finding.state'
  })
  assert.equal(read('app.py').toString(), text)
})

test('APPR-1, DISC-5: a file that changed after the preview is refused and left as it is', async (t) => {
  const { write, read, scan, findings, store } = await open(t)
  const line = `STRIPE_KEY=${newPaymentsKey()}\n`
  write('.env', line)
  const ids = idsOf(await scan())
  const [planned] = (await findings.preview(ids)).files
  assert.ok(planned)
  const change = {
    findingIds: ids,
    file: planned.file,
    sha256Before: planned.sha256Before,
    sha256After: planned.sha256After,
  }
  write('.env', `${line}MORE=1\n`)
  await assert.rejects(findings.rewriteFile(runId, change), { code: 'finding.changed' })
  assert.equal(read('.env').toString(), `${line}MORE=1\n`)
  // What would be written is not what was approved.
  write('.env', line)
  await assert.rejects(findings.rewriteFile(runId, { ...change, sha256After: '0'.repeat(64) }), {
    code: 'finding.changed',
  })
  write('.env', 'STRIPE_KEY=\n')
  await assert.rejects(findings.preview(ids), { code: 'finding.changed' })
  await assert.rejects(findings.storeValue(ids[0] ?? '', runId), { code: 'finding.changed' })
  await assert.rejects(findings.undo(runId, by), { code: 'finding.state' })
  await store.check()
})

test('DISC-5: a file that became a link out of the project is neither read nor written', async (t) => {
  const { root, write, scan, findings } = await open(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  const ids = idsOf(await scan())
  const outside = join(temporaryFolder(t), 'outside.env')
  renameSync(join(root, '.env'), outside)
  const content = readFileSync(outside)
  symlinkSync(outside, join(root, '.env'))
  await assert.rejects(findings.preview(ids), { code: 'finding.changed' })
  await assert.rejects(findings.storeValue(ids[0] ?? '', runId), { code: 'finding.changed' })
  assert.deepEqual(readFileSync(outside), content)
})

test('DISC-1, DISC-5: a value that only the history holds is stored, and no file changes', async (t) => {
  const { write, read, scan, findings, importAll, vault, git } = await open(t)
  const value = newPaymentsKey()
  git('init', '--quiet')
  write('.env', `STRIPE_KEY=${value}\n`)
  git('add', '--all')
  git('commit', '--quiet', '--message', 'one')
  write('.env', 'STRIPE_KEY=\n')
  git('commit', '--quiet', '--all', '--message', 'two')
  const items = await scan(true)
  assert.equal(items.length, 1)
  assert.match(items[0]?.places[0]?.commit ?? '', /^[0-9a-f]{40}$/)
  const preview = await findings.preview(idsOf(items))
  assert.deepEqual([preview.historyOnly, preview.files], [idsOf(items), []])
  await importAll(idsOf(items))
  const path = preview.secrets[0]?.reference.replace('keyward://', '').replace('#value', '') ?? ''
  assert.equal((await vault.kv.read(path))?.data['value']?.reveal(), value)
  assert.equal(read('.env').toString(), 'STRIPE_KEY=\n')
})

test('DISC-5: what one run has reserved no other takes, and what it gives back is open again', async (t) => {
  const { write, scan, findings, store } = await open(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  const ids = idsOf(await scan())
  await store.write((tx) => findings.claim(tx, ids, runId))
  await assert.rejects(
    store.write((tx) => findings.claim(tx, ids, 'run_2')),
    { code: 'finding.state' },
  )
  await assert.rejects(findings.ignore(ids, { reason: 'not mine' }, by), { code: 'finding.state' })
  assert.deepEqual(await findings.importingRuns(), [runId])
  await store.write((tx) => findings.release(tx, runId, 'the run was cancelled'))
  const { state, reason } = await findings.read(ids[0] ?? '')
  assert.deepEqual([state, reason], ['open', 'the run was cancelled'])
  await store.write((tx) => findings.claim(tx, ids, 'run_2'))
})

test('DISC-5: imported and put back, a finding opens again with the next scan and moves anew', async (t) => {
  const { write, read, scan, findings, importAll, vault, root } = await open(t)
  const value = newPaymentsKey()
  write('.env', `STRIPE_KEY=${value}\n`)
  const ids = idsOf(await scan())
  await importAll(ids)
  assert.deepEqual(await scan(), [])
  await assert.rejects(findings.preview(ids), { code: 'finding.state' })
  await findings.undo(runId, by)
  assert.equal((await findings.read(ids[0] ?? '')).state, 'restored')
  assert.deepEqual(idsOf(await scan()), ids)
  await importAll(ids, 'run_2')
  assert.equal((await vault.kv.read(`secret/${slug(basename(root))}/stripe-key`))?.version, 1)
  await assert.rejects(findings.undo(runId, by), { code: 'finding.state' })
  await findings.undo('run_2', by)
  assert.equal(read('.env').toString(), `STRIPE_KEY=${value}\n`)
})

test('DISC-5: what a killed process left beside a file is removed, also when its run cannot go on', async (t) => {
  const { write, read, root, scan, findings, importAll } = await open(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  await importAll(idsOf(await scan()))
  // Killed on its way to putting the file back; then somebody edits it.
  write('..env.keyward-next', 'what was about to become the file')
  write('.env', 'STRIPE_KEY=mine\n')
  write('.other.keyward-next', 'not ours: no run wrote a file of this name')
  await findings.recover()
  assert.equal(existsSync(join(root, '..env.keyward-next')), false)
  assert.equal(existsSync(join(root, '.other.keyward-next')), true)
  assert.equal(read('.env').toString(), 'STRIPE_KEY=mine\n')
})
