import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, open, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import type { RawFinding, ScanEvent } from '../finding.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('sources')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })
const newToken = draws.vaultToken

type Seen = {
  findings: RawFinding[]
  problems: { file: string; reason: string }[]
  last: ScanEvent | undefined
}

async function gather(events: AsyncIterable<ScanEvent>): Promise<Seen> {
  const seen: Seen = { findings: [], problems: [], last: undefined }
  for await (const event of events) {
    if (event.kind === 'finding') seen.findings.push(event.finding)
    else if (event.kind === 'problem') seen.problems.push({ file: event.file, reason: event.reason })
    else seen.last = event
  }
  return seen
}

const filesOf = ({ findings }: Seen): string[] => findings.map(({ place }) => place.file)

async function folder(t: TestContext, files: Record<string, string | Buffer> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-scan-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), contents)
  }
  return root
}

test('DISC-1: files come in order, with progress that ends at the total', async (t) => {
  const root = await folder(t, { 'b/c.txt': newToken(), 'a.txt': newToken(), 'z.txt': 'nothing' })
  const seen = await gather(scanner.directory(root))
  assert.deepEqual(filesOf(seen), ['a.txt', 'b/c.txt'])
  assert.ok(seen.last?.kind === 'progress' && seen.last.filesScanned === 3 && seen.last.filesTotal === 3)
})

test('DISC-1: a single file can be scanned', async (t) => {
  const root = await folder(t, { 'a/b.txt': newToken() })
  assert.deepEqual(filesOf(await gather(scanner.directory(join(root, 'a/b.txt')))), ['b.txt'])
})

test('DISC-1: a path that is not there is refused', async (t) => {
  const root = await folder(t)
  await assert.rejects(gather(scanner.directory(join(root, 'gone'))), { code: 'scan.path_unreadable' })
})

test('DISC-3: .gitignore hides files, but not those that are there to hold secrets', async (t) => {
  const value = newToken()
  const root = await folder(t, {
    '.gitignore': 'build/\n*.out\n.env\n',
    '.env': value,
    'x.out': value,
    'build/a.txt': value,
    'sub/.gitignore': '!kept.out\nhere.txt\n',
    'sub/kept.out': value,
    'sub/here.txt': value,
    'node_modules/p/a.txt': value,
  })
  assert.deepEqual(filesOf(await gather(scanner.directory(root))), ['.env', 'sub/kept.out'])
  const all = await gather(scanner.directory(root, { ignoreFiles: false }))
  assert.deepEqual(filesOf(all), ['.env', 'x.out', 'build/a.txt', 'sub/here.txt', 'sub/kept.out'])
  await writeFile(join(root, '.keywardignore'), '.env\n')
  assert.deepEqual(filesOf(await gather(scanner.directory(root))), ['sub/kept.out'])
})

test('DISC-1: a password in the address of a git remote is found', async (t) => {
  const root = await folder(t, {
    '.git/config': `[remote "o"]\n\turl = https://u:${draws.hex(12)}@git.shop.internal/a.git\n`,
  })
  assert.deepEqual(filesOf(await gather(scanner.directory(root))), ['.git/config'])
})

test('DISC-1: loops of links end, links inside are met once, links outward are reported', async (t) => {
  const outside = await folder(t, { 'secret.txt': newToken() })
  const root = await folder(t, { 'a/one.txt': newToken() })
  await symlink('..', join(root, 'a/up'))
  await symlink('loop', join(root, 'loop'))
  await symlink('a/one.txt', join(root, 'again.txt'))
  await symlink(join(outside, 'secret.txt'), join(root, 'out.txt'))
  const seen = await gather(scanner.directory(root))
  assert.deepEqual(filesOf(seen), ['a/one.txt'])
  assert.deepEqual(
    seen.problems.map(({ file }) => file),
    ['out.txt'],
  )
})

test('DISC-1: what cannot be read is a problem, never silence', async (t) => {
  const root = await folder(t, { 'shut.txt': newToken(), 'closed/a.txt': 'x', 'open.txt': newToken() })
  await chmod(join(root, 'shut.txt'), 0)
  await chmod(join(root, 'closed'), 0)
  await chmod(root, 0o755)
  // Root reads everything, so there the process acts as nobody for a moment.
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  const seen = await gather(scanner.directory(root)).finally(() => {
    if (isRoot) process.seteuid?.(0)
  })
  await chmod(join(root, 'closed'), 0o700)
  assert.deepEqual(filesOf(seen), ['open.txt'])
  assert.deepEqual(seen.problems, [
    { file: 'closed', reason: 'permission denied (EACCES)' },
    { file: 'shut.txt', reason: 'permission denied (EACCES)' },
  ])
})

test('DISC-1: a binary of two gigabytes costs one read', async (t) => {
  const root = await folder(t, { 'image.bin': Buffer.from([1, 2, 0, 3]), 'a.txt': newToken() })
  await truncate(join(root, 'image.bin'), 2 * 1024 ** 3)
  const seen = await gather(scanner.directory(root))
  assert.deepEqual(filesOf(seen), ['a.txt'])
  assert.ok(seen.last?.kind === 'progress' && seen.last.bytesScanned < 100)
})

test('DISC-1: in a large file a value is found once, at its own line, wherever the windows meet', async (t) => {
  const root = await folder(t)
  const line = `${'lorem ipsum dolor '.repeat(7)}\n`
  const file = await open(join(root, 'big.log'), 'w')
  const windowBytes = 4 * 1024 * 1024
  const expected: [number, string][] = []
  let at = 0
  let count = 0
  for (const target of [
    windowBytes - 40_000,
    windowBytes - 20,
    2 * windowBytes + 1,
    2 * windowBytes + 33_000,
  ]) {
    while (at < target - line.length) {
      const lines = Math.max(1, Math.min(1000, Math.floor((target - at) / line.length)))
      await file.write(line.repeat(lines))
      at += line.length * lines
      count += lines
    }
    const value = newToken()
    const lead = ' '.repeat(Math.max(0, target - at))
    await file.write(`${lead}${value}\n`)
    at += lead.length + value.length + 1
    expected.push([++count, value])
  }
  await file.close()
  const { findings } = await gather(scanner.directory(root))
  assert.deepEqual(
    findings.map(({ place, value }) => [place.line, value.reveal()]),
    expected,
  )
})

test('DISC-1: UTF-16 text is read, and its offsets are those of the file', async (t) => {
  const value = newToken()
  const text = `ключ=1\ntoken: ${value}\n`
  const little = Buffer.from(`\ufeff${text}`, 'utf16le')
  const root = await folder(t, { 'a.txt': little, 'b.txt': Buffer.from(little).swap16() })
  const { findings } = await gather(scanner.directory(root))
  assert.deepEqual(
    findings.map(({ place }) => [place.file, place.line, place.encoding]),
    [
      ['a.txt', 2, 'utf16le'],
      ['b.txt', 2, 'utf16be'],
    ],
  )
  const { start, end } = findings[0]?.place ?? { start: 0, end: 0 }
  assert.equal(little.subarray(start, end).toString('utf16le'), value)
})

test('DISC-1: a named pipe is passed over without waiting', async (t) => {
  const root = await folder(t, { 'a.txt': newToken() })
  execFileSync('mkfifo', [join(root, 'pipe')])
  assert.deepEqual(filesOf(await gather(scanner.directory(root))), ['a.txt'])
})

test('DISC-1: a scan can be called off', async (t) => {
  const root = await folder(t, { 'a.txt': newToken() })
  await assert.rejects(gather(scanner.directory(root, { signal: AbortSignal.abort() })), {
    name: 'AbortError',
  })
})

function git(root: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@shop.internal', '-c', 'commit.gpgSign=false']
  const env = {
    PATH: process.env['PATH'],
    HOME: root,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  }
  execFileSync('git', ['-C', root, ...identity, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env })
}

test('DISC-1: a value that was committed and removed is found at its commit', async (t) => {
  const value = newToken()
  const root = await folder(t, { 'a dir/"quoted" ü.txt': `one\ntwo\nkey ${value}\n`, 'b.txt': 'nothing\n' })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  await writeFile(join(root, 'a dir/"quoted" ü.txt'), 'one\ntwo\n')
  git(root, 'commit', '-qam', 'second')
  const seen = await gather(scanner.project(root))
  assert.deepEqual(seen.problems, [])
  const [finding, ...more] = seen.findings
  assert.equal(more.length, 0)
  assert.equal(finding?.value.reveal(), value)
  assert.equal(finding?.place.file, 'a dir/"quoted" ü.txt')
  assert.equal(finding?.place.line, 3)
  assert.match(finding?.place.commit ?? '', /^[0-9a-f]{40}$/)
  assert.equal(finding?.place.author, 'Ada')
  assert.ok(seen.last?.kind === 'progress' && seen.last.commitsScanned === 2 && seen.last.filesScanned === 3)
})

test('DISC-1: what only a merge brought in is found, and another branch too', async (t) => {
  const [merged, branched] = [newToken(), newToken()]
  const root = await folder(t, { 'a.txt': 'base\n' })
  git(root, 'init', '-q', '--initial-branch=main')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'base')
  git(root, 'checkout', '-qb', 'side')
  await writeFile(join(root, 'a.txt'), `side\n${branched}\n`)
  git(root, 'commit', '-qam', 'side')
  git(root, 'checkout', '-q', 'main')
  await writeFile(join(root, 'a.txt'), 'main\n')
  git(root, 'commit', '-qam', 'main')
  git(root, 'merge', '-q', '--no-commit', '-s', 'ours', 'side')
  await writeFile(join(root, 'a.txt'), `both\n${merged}\n`)
  git(root, 'commit', '-qam', 'merge')
  const { findings } = await gather(scanner.gitHistory(root))
  assert.deepEqual(
    findings.map(({ value, place }) => [value.reveal(), place.line]),
    [
      [merged, 2],
      [branched, 2],
    ],
  )
})

test('DISC-1: nothing that a repository configures is run by scanning it', async (t) => {
  const root = await folder(t, {
    'a.txt': `${newToken()}\n`,
    '.gitattributes': '*.txt diff=evil filter=evil\n',
  })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  const mark = join(root, 'ran')
  const touch = `touch ${mark}; true`
  for (const name of [
    'core.fsmonitor',
    'core.pager',
    'pager.log',
    'diff.external',
    'diff.evil.command',
    'diff.evil.textconv',
    'filter.evil.smudge',
    'gpg.program',
    'core.sshCommand',
    'core.alternateRefsCommand',
    'core.editor',
  ]) {
    git(root, 'config', name, touch)
  }
  git(root, 'config', 'log.showSignature', 'true')
  git(root, 'config', 'remote.origin.promisor', 'true')
  git(root, 'config', 'remote.origin.url', `ext::sh -c touch% ${mark}`)
  git(root, 'config', 'alias.log', `!${touch}`)
  const seen = await gather(scanner.project(root))
  assert.equal(seen.findings.length, 2)
  await assert.rejects(open(mark), { code: 'ENOENT' })
})

test('DISC-1: settings that change how a diff looks do not blind the scan', async (t) => {
  const value = newToken()
  const root = await folder(t, { 'a.txt': `key ${value}\n`, '.gitattributes': '*.txt binary -diff\n' })
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  for (const [name, setting] of [
    ['diff.noprefix', 'true'],
    ['diff.mnemonicPrefix', 'true'],
    ['color.ui', 'always'],
    ['log.showRoot', 'false'],
    ['log.decorate', 'full'],
    ['format.pretty', 'oneline'],
    ['diff.wordRegex', '.'],
    ['core.quotePath', 'true'],
    ['core.bigFileThreshold', '1'],
  ] as const) {
    git(root, 'config', name, setting)
  }
  const { findings } = await gather(scanner.gitHistory(root))
  assert.deepEqual(
    findings.map(({ value: found, place }) => [found.reveal(), place.file]),
    [[value, 'a.txt']],
  )
})

test('DISC-1: without git the folder is scanned, and the history is reported as not scanned', async (t) => {
  const root = await folder(t, { 'a.txt': newToken() })
  const bare = createScanner({ fingerprintKey: draws.bytes(32), searchPath: root })
  const seen = await gather(bare.project(root))
  assert.deepEqual(filesOf(seen), ['a.txt'])
  assert.deepEqual(seen.problems, [
    { file: '.git', reason: 'git is not installed, so the history was not scanned' },
  ])
})

test('DISC-1: a folder without history says nothing; a broken history is a problem', async (t) => {
  const root = await folder(t, { 'a.txt': 'x' })
  assert.deepEqual((await gather(scanner.project(root))).problems, [])
  git(root, 'init', '-q')
  git(root, 'add', '.')
  git(root, 'commit', '-qm', 'first')
  await rm(join(root, '.git/objects'), { recursive: true })
  await mkdir(join(root, '.git/objects'))
  const { problems } = await gather(scanner.project(root))
  assert.equal(problems.length, 1)
  assert.match(problems[0]?.reason ?? '', /git could not read the whole history/)
})
