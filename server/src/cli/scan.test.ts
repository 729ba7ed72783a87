import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'

const draws = createDraws('scan command')
const newKey = (): string => `ghp_${draws.text(36)}`

function git(folder: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid']
  execFileSync('git', ['-C', folder, ...identity, ...args], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] },
  })
}

/** A repository with one key in a file and another that a later commit "removed". */
function makeRepository(folder: string): { kept: string; removed: string } {
  const [kept, removed] = [newKey(), newKey()]
  mkdirSync(folder)
  git(folder, 'init', '-q')
  writeFileSync(join(folder, 'old.env'), `GITHUB_TOKEN=${removed}\n`)
  git(folder, 'add', '.')
  git(folder, 'commit', '-qm', 'first')
  rmSync(join(folder, 'old.env'))
  writeFileSync(join(folder, '.env'), `# settings\nGITHUB_TOKEN=${kept}\n`)
  git(folder, 'add', '.')
  git(folder, 'commit', '-qm', 'second')
  return { kept, removed }
}

test('DISC-4: a scan finds what is in files and history, masks it in every format, and exits 1', async (t) => {
  const { keyward, home } = openShellInside(t)
  const { kept, removed } = makeRepository(join(home, 'shop'))
  for (const format of ['table', 'json', 'jsonl', 'sarif', 'csv']) {
    const { code, stdout, stderr } = await keyward(['scan', 'shop', '--format', format])
    assert.equal(code, 1, stderr)
    assert.ok(!stdout.includes(kept) && !stdout.includes(removed), format)
    assert.ok(stdout.includes('.env') && stdout.includes('old.env'), format)
  }
  const { stdout } = await keyward(['scan', 'shop', '--json'])
  const findings: Record<string, unknown>[] = JSON.parse(stdout)
  assert.equal(findings.length, 2)
  const file = findings.find((finding) => finding['file'] === '.env')
  assert.deepEqual([file?.['line'], file?.['endLine'], file?.['column']], [2, 2, 14])
  for (const name of ['rule', 'provider', 'confidence', 'fingerprint', 'masked']) {
    assert.equal(typeof file?.[name], 'string', name)
  }
  const workTree = JSON.parse((await keyward(['scan', 'shop', '--json', '--no-history'])).stdout)
  assert.equal(workTree.length, 1)
})

test('DISC-4: nothing found exits 0, a path that is not there 2', async (t) => {
  const { keyward, home } = openShell(t)
  mkdirSync(join(home, 'clean'))
  writeFileSync(join(home, 'clean', 'readme.md'), 'Nothing here.\n')
  assert.equal((await keyward(['scan', 'clean'])).code, 0)
  const gone = await keyward(['scan', 'gone'])
  assert.equal(gone.code, 2)
  assert.match(gone.stderr, /^keyward: the path to scan cannot be read: /)
  assert.equal(JSON.parse((await keyward(['scan', 'gone', '--json'])).stderr).code, 'scan.path_unreadable')
  assert.equal((await keyward(['scan', 'clean', '--format', 'xml'])).code, 2)
})

test('DISC-3: fingerprints stay the same, and a baseline hides what is known', async (t) => {
  const { keyward, home } = openShellInside(t)
  makeRepository(join(home, 'shop'))
  for (const format of ['json', 'jsonl', 'sarif']) {
    const first = await keyward(['scan', 'shop', '--format', format, '--output', `known.${format}`])
    assert.deepEqual([first.code, first.stdout], [1, ''])
    assert.equal(statSync(join(home, `known.${format}`)).mode & 0o777, 0o600)
    assert.equal((await keyward(['scan', 'shop', '--baseline', `known.${format}`])).code, 0, format)
  }
  writeFileSync(join(home, 'shop', 'new.env'), `GITHUB_TOKEN=${newKey()}\n`)
  const { code, stdout } = await keyward(['scan', 'shop', '--baseline', 'known.json', '--json'])
  assert.equal(code, 1)
  assert.deepEqual(
    JSON.parse(stdout).map(({ file }: { file: string }) => file),
    ['new.env'],
  )
  writeFileSync(join(home, 'notes.txt'), 'not a result')
  assert.match(
    (await keyward(['scan', 'shop', '--baseline', 'notes.txt'])).stderr,
    /not the result of a scan/,
  )
  assert.equal(statSync(join(home, '.config', 'keyward', 'fingerprint.key')).mode & 0o777, 0o600)
})

test('DISC-3: the same key gives the same fingerprints on two machines, and none gives others', async (t) => {
  const [one, two] = [openShellInside(t), openShell(t)]
  const input = `GITHUB_TOKEN=${newKey()}\n`
  const key = { KEYWARD_FINGERPRINT_KEY: draws.hex(32) }
  const fingerprint = async ({ keyward }: typeof one, env: Record<string, string>): Promise<string> =>
    JSON.parse((await keyward(['scan', '-', '--json'], { input, env })).stdout)[0].fingerprint
  assert.equal(await fingerprint(one, key), await fingerprint(two, key))
  assert.notEqual(await fingerprint(one, {}), await fingerprint(two, {}))
  const bad = await one.keyward(['scan', '-'], { input, env: { KEYWARD_FINGERPRINT_KEY: 'short' } })
  assert.match(bad.stderr, /KEYWARD_FINGERPRINT_KEY is not a fingerprint key/)
})

test('DISC-1: a scan survives a symlink loop and tells a file name with escapes harmlessly', async (t) => {
  const { keyward, home } = openShell(t)
  const folder = join(home, 'odd')
  mkdirSync(folder)
  symlinkSync('.', join(folder, 'loop'))
  writeFileSync(join(folder, 'a\u001b[31mb.env'), `GITHUB_TOKEN=${newKey()}\n`)
  const { code, stdout, stderr } = await keyward(['scan', 'odd'])
  assert.equal(code, 1, stderr)
  assert.ok(!`${stdout}${stderr}`.includes('\u001b'))
  assert.ok(readFileSync(join(folder, 'a\u001b[31mb.env')).length > 0)
})
