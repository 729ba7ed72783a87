import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { openShell } from '../../../test/support/keyward-command.ts'
import { openShellInside } from '../../../test/support/keyward-inside.ts'

const draws = createDraws('scan options')
const newToken = draws.vaultToken

function git(folder: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid']
  execFileSync('git', ['-C', folder, ...identity, ...args], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'] },
  })
}

/** A folder `shop` with these files, and a way to scan it that gives the files of what is told. */
function project(t: TestContext, files: Record<string, string>, open = openShellInside) {
  const { keyward, home } = open(t)
  const folder = join(home, 'shop')
  mkdirSync(folder)
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  for (const [name, text] of Object.entries(files)) write(name, text)
  return {
    keyward,
    home,
    folder,
    write,
    async told(...args: string[]): Promise<string[]> {
      const { stdout, stderr } = await keyward(['scan', ...args, '--json'])
      assert.ok(stdout !== '', stderr)
      return JSON.parse(stdout).map(({ file }: { file: string }) => file)
    },
  }
}

test('DISC-1: staged changes, named files, variables and the home folder are sources, one at a time', async (t) => {
  const { keyward, home, folder, told } = project(t, { 'a.txt': newToken(), 'b.txt': newToken() })
  git(folder, 'init', '-q')
  git(folder, 'add', 'a.txt')
  assert.deepEqual(await told('shop', '--staged'), ['a.txt'])
  writeFileSync(join(home, 'names'), 'shop/b.txt\n')
  assert.deepEqual(await told('--files-from', 'names'), ['shop/b.txt'])
  const value = newToken()
  const listed = await keyward(['scan', '--files-from', '-'], { input: 'shop/a.txt\0' })
  assert.match(listed.stdout, /shop\/a\.txt:1/)
  const own = await keyward(['scan', '--environment'], { env: { SHOP_TOKEN: value } })
  assert.equal(own.code, 1)
  assert.match(own.stdout, /environment\/SHOP_TOKEN/)
  assert.ok(!own.stdout.includes(value))
  writeFileSync(join(home, '.netrc'), `machine shop.internal login ada password ${newToken()}\n`)
  assert.deepEqual(await told('--this-user'), ['~/.netrc'])
  for (const more of [
    ['shop', '--environment'],
    ['--staged', '--this-user'],
    ['shop/a.txt', '--pid', '1'],
  ]) {
    const { code, stderr } = await keyward(['scan', ...more])
    assert.equal(code, 2)
    assert.match(stderr, /a scan has one source/)
  }
  assert.equal((await keyward(['scan', 'shop', '--staged', '--watch'])).code, 2)
})

test('DISC-3: settings of the project hide with a reason, for as long as they say', async (t) => {
  const { keyward, told, write } = project(t, { 'a.txt': newToken(), 'b.txt': newToken() })
  const entry = (until: string): string => `[[ignore]]\nreason = "made up"\npath = "a.*"\nuntil = ${until}\n`
  write('.keyward.toml', entry('2999-01-01'))
  assert.deepEqual(await told('shop'), ['b.txt'])
  assert.match((await keyward(['scan', 'shop'])).stderr, /1 secret is ignored by settings/)
  assert.deepEqual(await told('shop', '--no-ignore-files'), ['a.txt', 'b.txt'])
  const explained = await keyward(['scan', 'explain', 'shop/a.txt:1'])
  assert.match(explained.stdout, /Told +no: ignored by line 1 of the settings: made up, until 2999-01-01/)
  write('.keyward.toml', entry('2020-01-01'))
  assert.deepEqual(await told('shop'), ['a.txt', 'b.txt'])
  assert.match((await keyward(['scan', 'shop'])).stderr, /held until 2020-01-01: made up/)
  write('.keyward.toml', '[[ignore]]\npath = "a.txt"\n')
  const refused = await keyward(['scan', 'shop'])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /\.keyward\.toml:1: ignore\.reason/)
})

test('DISC-3: a baseline survives a merge, with the marks of one that was not resolved', async (t) => {
  const { keyward, home, told, write } = project(t, { 'a.txt': newToken(), 'b.txt': newToken() })
  const args = ['scan', 'shop', '--format', 'baseline', '--output', 'known']
  assert.equal((await keyward(args)).code, 1)
  const [heading, one, other] = readFileSync(join(home, 'known'), 'utf8').split('\n')
  const conflict = [heading, '<<<<<<< ours', other, '=======', one, '>>>>>>> theirs', '']
  writeFileSync(join(home, 'known'), conflict.join('\n'))
  assert.deepEqual(await told('shop', '--baseline', 'known'), [])
  write('c.txt', newToken())
  assert.deepEqual(await told('shop', '--baseline', 'known'), ['c.txt'])
  writeFileSync(join(home, 'known'), `${heading}\n`)
  assert.equal((await told('shop', '--baseline', 'known')).length, 3, 'an empty baseline hides nothing')
})

test('DISC-1: with --new-commits a commit of the history is looked through once', async (t) => {
  const { folder, told, write, keyward } = project(t, { 'a.txt': newToken() })
  const commit = (): void => {
    git(folder, 'add', '-A')
    git(folder, 'commit', '-qm', 'more', '--allow-empty')
  }
  git(folder, 'init', '-q')
  commit()
  write('a.txt', 'clean\n')
  commit()
  assert.deepEqual(await told('shop', '--new-commits'), ['a.txt'])
  assert.deepEqual(await told('shop', '--new-commits'), [])
  git(folder, 'checkout', '-qb', 'side')
  write('b.txt', newToken())
  commit()
  git(folder, 'checkout', '-q', '-')
  assert.deepEqual(await told('shop', '--new-commits'), ['b.txt'])
  assert.deepEqual(await told('shop', '--new-commits'), [])
  git(folder, 'branch', '-qD', 'side')
  git(folder, 'reflog', 'expire', '--expire=now', '--all')
  git(folder, 'gc', '-q', '--prune=now')
  assert.deepEqual(await told('shop', '--new-commits'), [], 'a tip that is gone does not matter')
  write('.keyward.toml', '[[rule]]\nid = "x"\ntitle = "X"\nkeywords = ["xyz_"]\npattern = "xyz_[0-9]{20}"\n')
  assert.deepEqual(await told('shop', '--new-commits'), ['a.txt'], 'with another rule all of it is new')
  assert.deepEqual(await told('shop'), ['a.txt'], 'without the option nothing changes')
  const own = await keyward(['scan', 'shop', '--new-commits', '--state', 'seen.json', '--json'])
  assert.equal(JSON.parse(own.stdout).length, 1)
})

test('DISC-4: the exit code and the result can begin at a confidence', async (t) => {
  const { keyward, told } = project(t, {
    'test.env': `DB_PASSWORD=${draws.bytes(9).toString('base64url')}x7\n`,
  })
  const [all, none] = [await told('shop'), await told('shop', '--confidence', 'high')]
  assert.deepEqual([all.length, none.length], [1, 0])
  assert.equal((await keyward(['scan', 'shop'])).code, 1)
  assert.equal((await keyward(['scan', 'shop', '--fail-on', 'high'])).code, 0)
})

test('DISC-4: a finding is explained by its place or its fingerprint', async (t) => {
  const value = newToken()
  const { keyward } = project(t, { 'a.txt': `one\nkey ${value}\n` })
  const byPlace = await keyward(['scan', 'explain', 'shop/a.txt:2', '--json'])
  assert.equal(byPlace.code, 0, byPlace.stderr)
  assert.ok(!byPlace.stdout.includes(value))
  const [explained] = JSON.parse(byPlace.stdout)
  assert.deepEqual([explained.rule, explained.ruleOf, explained.ignored], ['vault-token', 'keyward', null])
  const byName = await keyward(['scan', 'explain', explained.fingerprint, '--in', 'shop'])
  assert.match(byName.stdout, /Place +a\.txt:2\n/)
  assert.equal((await keyward(['scan', 'explain', 'shop/a.txt:1'])).code, 1)
  assert.equal((await keyward(['scan', 'explain', 'shop/none.txt:1'])).code, 2)
  assert.equal((await keyward(['scan', 'explain', 'nonsense'])).code, 2)
})

test('DISC-4: a result goes into a pipe or a device, and does not replace it', async (t) => {
  const { keyward, home } = project(t, { 'a.txt': newToken() }, openShell)
  const pipe = join(home, 'pipe')
  execFileSync('mkfifo', [pipe])
  const [written, { code }] = await Promise.all([
    readFile(pipe, 'utf8'),
    keyward(['scan', 'shop', '--output', 'pipe']),
  ])
  assert.match(written, /a\.txt:1/)
  assert.equal(code, 1)
  assert.ok(statSync(pipe).isFIFO())
})

test('DISC-4: --progress tells how far the scan came, on standard error and without a value', async (t) => {
  const value = newToken()
  const { keyward, folder } = project(t, { 'a.txt': value }, openShell)
  const asked = await keyward(['scan', folder, '--progress', '--json'])
  assert.equal(asked.code, 1)
  assert.match(asked.stderr, /^Scanned 1 of 1 files, 0\.0 MB; 1 found$/m)
  assert.ok(!`${asked.stdout}${asked.stderr}`.includes(value))
  assert.equal(JSON.parse(asked.stdout).length, 1)
  assert.equal((await keyward(['scan', folder, '--json'])).stderr, '')
})
