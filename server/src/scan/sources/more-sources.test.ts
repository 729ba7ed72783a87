import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { zipOf } from '../../../test/support/zip-of.ts'
import type { RawFinding, ScanEvent } from '../finding.ts'
import { createScanner } from '../scan.ts'
import { createSources } from './index.ts'

const draws = createDraws('more sources')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })
const sources = createSources({ scanner, searchPath: process.env['PATH'] ?? '' })
const newToken = draws.vaultToken

async function gather(
  events: AsyncIterable<ScanEvent>,
): Promise<{ found: RawFinding[]; problems: string[] }> {
  const found: RawFinding[] = []
  const problems: string[] = []
  for await (const event of events) {
    if (event.kind === 'finding') found.push(event.finding)
    else if (event.kind === 'problem') problems.push(`${event.file}: ${event.reason}`)
  }
  return { found, problems }
}

const placesOf = (found: readonly RawFinding[]): string[] =>
  found.map(({ place }) => `${place.file}:${place.line}`)

async function folder(t: TestContext, files: Record<string, string | Buffer> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-sources-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await write(root, files)
  return root
}

async function write(root: string, files: Record<string, string | Buffer>): Promise<void> {
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), contents)
  }
}

function git(root: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@shop.internal', '-c', 'commit.gpgSign=false']
  return execFileSync('git', ['-C', root, ...identity, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: root, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
  })
}

test('DISC-4: of what is staged, only added lines are told, with their place in the file', async (t) => {
  const [old, added, unstaged] = [newToken(), newToken(), newToken()]
  const root = await folder(t, { 'a "b" ü.txt': `one ${old}\ntwo\n`, 'c.txt': 'c\n' })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  assert.deepEqual(await gather(sources.staged(root)), { found: [], problems: [] })
  await write(root, { 'a "b" ü.txt': `one ${old}\ntwo\nthree ${added}\n`, 'gone.txt': 'x' })
  git(root, 'add', '.')
  await write(root, { 'c.txt': `${unstaged}\n` })
  git(root, 'rm', '-q', '--cached', 'c.txt')
  const { found, problems } = await gather(sources.staged(root))
  assert.deepEqual(problems, [])
  assert.deepEqual(placesOf(found), ['a "b" ü.txt:3'])
  assert.equal(found[0]?.value.reveal(), added)
})

test('DISC-4: what is staged before the first commit is told, programs and archives like text; a picture is not', async (t) => {
  const root = await folder(t, {
    '.env': `TOKEN=${newToken()}\n`,
    'wide.txt': Buffer.from(`\ufefftoken: ${newToken()}\n`, 'utf16le'),
    'program.bin': Buffer.concat([Buffer.from([1, 0, 2]), Buffer.from(newToken())]),
    'image.png': Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n\0\0', 'latin1'), Buffer.from(newToken())]),
    'shop.zip': zipOf({ 'in/.env': `A=1\nTOKEN=${newToken()}\n`, 'in/notes.txt': 'notes' }),
    'broken.zip': zipOf({ '.env': `TOKEN=${newToken()}\n` }).subarray(0, 40),
  })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  const { found, problems } = await gather(sources.staged(root))
  assert.deepEqual(placesOf(found), ['.env:1', 'program.bin:1', 'shop.zip!in/.env:2', 'wide.txt:1'])
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /^broken\.zip: the archive cannot be read to its end/)
})

test('DISC-4: an archive that is staged again is looked through whole, and what the baseline knows is not told', async (t) => {
  const [old, added] = [newToken(), newToken()]
  const root = await folder(t, { 'shop.zip': zipOf({ '.env': `TOKEN=${old}\n` }) })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  const baseline = new Set((await gather(sources.staged(root))).found.map(({ fingerprint }) => fingerprint))
  git(root, 'commit', '-qm', 'first')
  await write(root, { 'shop.zip': zipOf({ '.env': `TOKEN=${old}\nNEXT_TOKEN=${added}\n` }) })
  git(root, 'add', '.')
  const { found } = await gather(sources.staged(root, { baseline }))
  assert.deepEqual(placesOf(found), ['shop.zip!.env:2'])
})

test('DISC-4: the index that git makes for a commit of chosen files is the one that is looked at', async (t) => {
  const root = await folder(t, { 'a.txt': 'a\n' })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  await write(root, { 'a.txt': `${newToken()}\n` })
  const indexFile = join(root, '.git', 'other-index')
  execFileSync('git', ['-C', root, 'add', 'a.txt'], { env: { ...process.env, GIT_INDEX_FILE: indexFile } })
  assert.deepEqual((await gather(sources.staged(root))).found, [])
  assert.equal((await gather(sources.staged(root, { indexFile }))).found.length, 1)
})

test('DISC-4: outside of a repository nothing can be staged', async (t) => {
  const root = await folder(t)
  await assert.rejects(gather(sources.staged(root)), { code: 'scan.path_unreadable' })
})

test('DISC-1: named files are scanned by their names, whatever ignore files say; a missing one is told', async (t) => {
  const root = await folder(t, {
    '.gitignore': 'out\n',
    'out/a b.txt': newToken(),
    'deep/c.txt': newToken(),
    'other.txt': newToken(),
  })
  for (const names of ['out/a b.txt\ndeep\nnone.txt\n', 'out/a b.txt\0deep\0none.txt\0']) {
    const { found, problems } = await gather(sources.fileList(names, root))
    assert.deepEqual(placesOf(found), ['out/a b.txt:1', 'deep/c.txt:1'])
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', /^none\.txt: /)
  }
})

test('DISC-1: a variable of the environment is told by its name', async () => {
  const value = newToken()
  const { found } = await gather(
    sources.variables({ HOME: '/home/ada', NOTE: 'two\nlines', SHOP_TOKEN: value, EMPTY: undefined }),
  )
  assert.deepEqual(placesOf(found), ['environment/SHOP_TOKEN:1'])
  assert.equal(found[0]?.value.reveal(), value)
})

test('DISC-1: the environment of another process is read, and one that is not there is refused', {
  skip: process.platform !== 'linux' && 'only Linux shows the environment of another process',
}, async (t) => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log(1)'], {
    env: { SHOP_TOKEN: newToken() },
    stdio: 'pipe',
  })
  t.after(() => child.kill())
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const { found } = await gather(sources.process(child.pid ?? 0))
  assert.deepEqual(placesOf(found), [`process ${child.pid}/SHOP_TOKEN:1`])
  await assert.rejects(gather(sources.process(2 ** 30)), { code: 'scan.path_unreadable' })
})

test('DISC-1: what tools keep for a user is scanned, and nothing else of the home folder', async (t) => {
  const home = await folder(t, {
    '.npmrc': `//registry.shop.internal/:_authToken=${newToken()}\n`,
    '.config/environment.d/shop.conf': `SHOP_TOKEN=${newToken()}\n`,
    '.cursor/mcp.json': JSON.stringify({ mcpServers: { shop: { env: { TOKEN: newToken() } } } }),
    '.bash_history': `cd shop\nexport TOKEN=${newToken()}\n`,
    'letters/private.txt': newToken(),
  })
  const { found } = await gather(sources.user(home))
  assert.deepEqual(placesOf(found).sort(), [
    '~/.bash_history:2',
    '~/.config/environment.d/shop.conf:1',
    '~/.cursor/mcp.json:1',
    '~/.npmrc:1',
  ])
})

test('DISC-1: the history of a clone that lacks files is scanned as far as it is there', async (t) => {
  const [first, second] = [newToken(), newToken()]
  const origin = await folder(t, { 'a.txt': `${first}\n`, 'b.txt': 'b\n' })
  git(origin, 'init', '-q')
  git(origin, 'config', 'uploadpack.allowFilter', 'true')
  git(origin, 'add', '.')
  git(origin, 'commit', '-qm', 'first')
  await write(origin, { 'a.txt': `one\n${second}\n` })
  git(origin, 'commit', '-qam', 'second')
  const root = await folder(t)
  git(root, 'clone', '-q', '--filter=blob:none', `file://${origin}`, 'clone')
  const { found, problems } = await gather(scanner.gitHistory(join(root, 'clone')))
  assert.deepEqual(
    found.map(({ value, place }) => [value.reveal(), place.line, place.author]),
    [[second, 2, 'Ada']],
  )
  assert.deepEqual(problems, [
    '.git: 1 contents of files are missing from this repository, so they were not scanned',
  ])
})

test('DISC-1: a repository that lost the contents of a file is scanned as far as they are there', async (t) => {
  const [first, second, third] = [newToken(), newToken(), newToken()]
  const root = await folder(t, { 'a.txt': `${first}\n`, 'b.txt': 'b\n' })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  await write(root, { 'b.txt': 'lost\n' })
  git(root, 'commit', '-qam', 'second')
  const lost = git(root, 'rev-parse', 'HEAD:b.txt').trim()
  await write(root, { 'b.txt': `${second}\n` })
  git(root, 'commit', '-qam', 'third')
  await write(root, { 'c.txt': `${third}\n` })
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'fourth')
  await rm(join(root, '.git/objects', lost.slice(0, 2), lost.slice(2)))
  const { found, problems } = await gather(scanner.gitHistory(root))
  assert.deepEqual(
    found.map(({ value, place }) => `${value.reveal()} ${place.file}`).sort(),
    [`${first} a.txt`, `${second} b.txt`, `${third} c.txt`].sort(),
  )
  assert.deepEqual(problems, [
    '.git: 1 contents of files are missing from this repository, so they were not scanned',
  ])
})

test('DISC-1: bare repositories, shallow ones and worktrees have a history', async (t) => {
  const [main, side, detached] = [newToken(), newToken(), newToken()]
  const origin = await folder(t, { 'a.txt': `${main}\n` })
  git(origin, 'init', '-q', '--initial-branch=main')
  git(origin, 'add', '.')
  git(origin, 'commit', '-qm', 'first')
  const root = await folder(t)
  git(root, 'clone', '-q', '--bare', origin, 'bare')
  git(root, 'clone', '-q', '--depth=1', `file://${origin}`, 'shallow')
  git(origin, 'worktree', 'add', '-q', '--detach', join(root, 'tree'))
  await write(join(root, 'tree'), { 'a.txt': `${detached}\n` })
  git(join(root, 'tree'), 'commit', '-qam', 'detached')
  git(origin, 'checkout', '-q', '-b', 'side')
  await write(origin, { 'a.txt': `${side}\n` })
  git(origin, 'commit', '-qam', 'side')
  const values = async (path: string): Promise<Set<string>> =>
    new Set((await gather(scanner.gitHistory(path))).found.map(({ value }) => value.reveal()))
  assert.deepEqual(await values(join(root, 'bare')), new Set([main]))
  assert.deepEqual(await values(join(root, 'shallow')), new Set([main]))
  assert.deepEqual(await values(join(root, 'tree')), new Set([main, side, detached]))
  assert.deepEqual(await values(origin), new Set([main, side, detached]), 'a HEAD of another worktree counts')
})

test('DISC-7: a file that changes is scanned, one that is ignored is not', async (t) => {
  const root = await folder(t, { '.gitignore': 'build/\n', 'sub/a.txt': 'a\n', 'build/b.txt': 'b\n' })
  const end = new AbortController()
  t.after(() => end.abort())
  const seen: string[] = []
  const watching = (async () => {
    for await (const event of sources.changes(root, { signal: end.signal })) {
      if (event.kind !== 'finding') continue
      seen.push(event.finding.place.file)
      return
    }
  })()
  // Until the system has begun to tell, a change may go unseen: it is made again until it is seen.
  const writing = setInterval(() => {
    void write(root, { 'build/b.txt': newToken(), 'sub/a.txt': newToken() })
  }, 300)
  await watching
  clearInterval(writing)
  assert.deepEqual(seen, ['sub/a.txt'])
})
