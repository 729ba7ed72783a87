// What an archive may hold, and what becomes of it. Unpacking runs as a process of its own here; that it is held by a sandbox is tried in
// sandboxed-image.test.ts.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import {
  digestOf,
  dockerArchive,
  folder,
  link,
  longNamed,
  type Member,
  ociArchive,
  tar,
} from '../../test/support/image-archive.ts'
import { openWorld, temporaryFolder } from '../../test/support/world.ts'
import { silentLog } from '../core/index.ts'
import type { Sandbox, SandboxResult, SandboxSpec } from '../sandbox/index.ts'
import { createImages, imagesMigrations } from './index.ts'

const by = { kind: 'person' as const, id: 'per_1', name: 'Ada', roles: ['owner'] as const }
const shell: Member[] = [folder('bin'), { path: 'bin/sh', content: 'a shell', mode: 0o755 }]

const identity = { agent: async (id: string) => (id === 'agt_1' ? {} : undefined) }

async function open(t: TestContext, bounds?: { entries: number; bytes: number }) {
  const world = await openWorld(t, imagesMigrations)
  const outside = temporaryFolder(t)
  const tried: SandboxSpec[] = []
  const images = createImages({
    ...world,
    identity,
    ...(bounds ? { bounds } : {}),
    sandbox: standIn(outside, tried),
    log: silentLog,
  })
  const archive = join(outside, 'archive')
  async function add(bytes: Buffer, name = 'node', digest?: string) {
    writeFileSync(archive, bytes)
    const { image, examples } = await images.add({ name, archive, digest, by })
    const root = join(world.dataDir, 'images', image.digest.slice(7))
    return { image, examples, root, read: (path: string) => readFileSync(join(root, path), 'utf8') }
  }
  return { ...world, images, add, archive, outside, tried, folder: join(world.dataDir, 'images') }
}

async function fill(inside: string, { files = {}, workspace }: SandboxSpec): Promise<void> {
  mkdirSync(inside, { recursive: true })
  for (const [path, content] of Object.entries(files)) writeFileSync(join(inside, path), content)
  for await (const entry of typeof workspace === 'object' ? workspace : []) {
    assert.ok(entry.kind === 'file')
    const parts: Uint8Array[] = []
    for await (const part of entry.body) parts.push(part)
    writeFileSync(join(inside, entry.path), Buffer.concat(parts))
  }
}

/** Runs the program that a sandbox would run, on the files that it would be given; another command succeeds. */
function standIn(outside: string, tried: SandboxSpec[]): Pick<Sandbox, 'run'> {
  return {
    async run(spec, watch = {}): Promise<SandboxResult> {
      const done = { exitCode: 0, signal: null, durationMs: 1, limit: null, cancelled: false }
      const nothing = { ...done, stdoutTail: '', stderrTail: '', leftBehind: [] }
      if (spec.image) tried.push(spec)
      if (spec.image || typeof spec.workspace !== 'object') return nothing
      const inside = join(outside, 'workspace')
      await fill(inside, spec)
      const words = spec.command.slice(1).map((word) => word.replace('/workspace', inside))
      const child = spawn(process.execPath, words, { signal: watch.signal })
      child.once('error', () => undefined)
      let stderrTail = ''
      child.stderr.on('data', (part) => {
        stderrTail += part
      })
      const ended = once(child, 'close').catch(() => [null])
      for await (const part of child.stdout) await watch.onOutput?.('stdout', part)
      const [exitCode] = await ended
      return { ...nothing, exitCode, cancelled: watch.signal?.aborted ?? false, stderrTail }
    },
  }
}

test('SAND-1: a root file system becomes an image, the same whatever it was packed with', async (t) => {
  const { add, images, tried, archive } = await open(t)
  const long = `usr/share/${'n'.repeat(120)}/file`
  const root = tar([
    folder('./'),
    ...shell,
    folder('usr'),
    { path: 'usr/tool', content: 'tool', mode: 0o755 },
    { path: 'usr/again', type: '1', target: 'usr/tool' },
    link('lib', 'usr/lib'),
    ...longNamed(long, 'long'),
    { path: 'tmp/scratch', content: 'not kept' },
  ])
  const { image, read, root: kept } = await add(root)
  assert.equal(read('usr/tool'), 'tool')
  assert.equal(read('usr/again'), 'tool')
  assert.equal(statSync(join(kept, 'usr/again')).ino, statSync(join(kept, 'usr/tool')).ino)
  assert.equal(readlinkSync(join(kept, 'lib')), 'usr/lib')
  assert.equal(read(long), 'long')
  assert.equal(existsSync(join(kept, 'tmp')), false)
  assert.equal(statSync(join(kept, 'usr/tool')).mode & 0o7777, 0o555)
  assert.equal(statSync(join(kept, long)).mode & 0o7777, 0o444)
  assert.deepEqual([image.leftOut, image.inUse, image.archiveDigest], [0, 0, digestOf(root)])
  assert.equal(tried.length, 1)
  for (const [name, packed] of Object.entries({ gzip: gzipSync(root), zstd: zstdCompressSync(root) }))
    assert.equal((await add(packed, name)).image.digest, image.digest)
  const named = await images.add({ name: 'named', archive, digest: digestOf(zstdCompressSync(root)), by })
  assert.equal(named.image.digest, image.digest)
})

test('SAND-1: layers are put together as a container engine does, from either kind of archive', async (t) => {
  const { add } = await open(t)
  const lower = tar([
    ...shell,
    folder('app'),
    { path: 'app/gone', content: 'lower' },
    { path: 'app/changed', content: 'lower' },
    folder('app/emptied'),
    { path: 'app/emptied/old', content: 'lower' },
    link('lib', 'usr/lib'),
    folder('usr/lib'),
  ])
  const upper = tar([
    { path: 'app/changed', content: 'upper', mode: 0o755 },
    { path: 'app/emptied/new', content: 'upper' },
    { path: 'app/.wh.gone' },
    { path: 'app/emptied/.wh..wh..opq' },
    { path: 'lib/added', content: 'through a link' },
  ])
  const layers = [{ bytes: lower }, { bytes: upper, packed: gzipSync(upper) }]
  const one = await add(dockerArchive(layers, ['PATH=/app:/bin', 'NOT A NAME=x', 'LANG=C']))
  assert.equal(one.read('app/changed'), 'upper')
  assert.equal(one.read('usr/lib/added'), 'through a link')
  assert.deepEqual(readdirSync(join(one.root, 'app')).sort(), ['changed', 'emptied'])
  assert.deepEqual(readdirSync(join(one.root, 'app/emptied')), ['new'])
  assert.deepEqual(one.image.environment, { PATH: '/app:/bin', LANG: 'C' })
  const other = await add(ociArchive(layers), 'oci')
  assert.equal(other.image.digest, one.image.digest)
  assert.deepEqual(other.image.environment, { FROM_IMAGE: 'yes' })
})

test('SAND-2: what an archive must not do is left out, and told', async (t) => {
  const { add, outside } = await open(t)
  const { image, root, examples, read } = await add(
    tar([
      ...shell,
      { path: '../escaped', content: 'x' },
      { path: 'a/../../escaped', content: 'x' },
      { path: '/absolute', content: 'below the root' },
      { path: 'bin/su', content: 'su', mode: 0o4755 },
      { path: 'disk', type: '3' },
      { path: 'pipe', type: '6' },
      link('way', outside),
      { path: 'way/planted', content: 'x' },
      link('up', '../../../../..'),
      { path: 'up/raised', content: 'x' },
      { path: 'shadow', type: '1', target: '../../etc/shadow' },
      { path: 'other', type: '1', target: '/etc/shadow' },
      link('loop', 'loop'),
      { path: 'loop/file', content: 'x' },
      { path: `new${'\n'}line`, content: 'x' },
    ]),
  )
  assert.equal(read('absolute'), 'below the root')
  assert.equal(read('raised'), 'x')
  assert.equal(read(join(outside, 'planted').slice(1)), 'x')
  assert.equal(existsSync(join(outside, 'planted')), false)
  assert.equal(statSync(join(root, 'bin/su')).mode & 0o7777, 0o555)
  for (const name of ['escaped', 'disk', 'pipe', 'shadow', 'other'])
    assert.equal(existsSync(join(root, name)), false, name)
  assert.deepEqual(
    examples.map(({ path }) => path),
    [
      '../escaped',
      'a/../../escaped',
      'disk',
      'pipe',
      `new${'\n'}line`,
      'bin/su',
      'shadow',
      'other',
      'loop/file',
    ],
  )
  assert.equal(image.leftOut, 9)
})

test('SAND-2: an archive that is no image is refused with the reason, and nothing of it stays', async (t) => {
  const { add, images, folder: kept } = await open(t, { entries: 100, bytes: 100_000 })
  const layer = { bytes: tar(shell) }
  const damaged = tar(shell)
  damaged[600] = 0xff
  const many = tar(Array.from({ length: 200 }, (_, at) => ({ path: `file-${at}` })))
  const short = tar([...shell, { path: 'cut', content: 'x'.repeat(4000) }]).subarray(0, 3000)
  const attempts: [Buffer, RegExp][] = [
    [Buffer.from('not an archive at all'.repeat(100)), /not a tar archive/],
    [damaged, /damaged|not octal/],
    [short, /ends inside a file/],
    [many, /more than 100 files/],
    [tar([{ path: 'bomb', content: 'x'.repeat(200_000) }]), /more than 100000 bytes/],
    [gzipSync(tar([{ path: 'bomb', content: Buffer.alloc(200_000) }])), /more than 100000 bytes/],
    [gzipSync(dockerArchive([layer])), /packed as a whole/],
    [Buffer.from('fd377a585a000004', 'hex'), /xz/],
    [
      ociArchive([layer], (bytes) => Buffer.concat([bytes.subarray(1), Buffer.alloc(1)])),
      /does not have this digest/,
    ],
    [
      dockerArchive([{ bytes: tar(shell), packed: tar([...shell, folder('more')]) }]),
      /does not have the digest/,
    ],
  ]
  for (const [bytes, why] of attempts)
    await assert.rejects(add(bytes), (error: { code?: string; detail?: string }) => {
      assert.equal(error.code, 'image.invalid')
      assert.match(error.detail ?? '', why)
      return true
    })
  await assert.rejects(add(tar(shell), 'node', digestOf('another')), { code: 'image.invalid' })
  assert.deepEqual(await images.list(), [])
  assert.deepEqual(readdirSync(kept), [])
})

test('SAND-2: a host believes nothing that the program in the sandbox says', async (t) => {
  const world = await openWorld(t, imagesMigrations)
  const archive = join(temporaryFolder(t), 'archive')
  writeFileSync(archive, 'x')
  const file = (path: string) => ({ kind: 'file', path, size: 1, executable: false })
  const lies: object[][] = [
    [file('../escaped')],
    [file('/etc/escaped')],
    [file('none/file')],
    [{ kind: 'link', path: 'way', target: '/etc' }, file('way/planted')],
    [{ kind: 'link', path: 'way', target: '/etc/passwd' }, file('way')],
    [
      { kind: 'directory', path: 'a' },
      { kind: 'directory', path: 'a/..' },
    ],
    [{ kind: 'same', path: 'shadow', as: '../../etc/shadow' }],
    [
      { kind: 'link', path: 'way', target: '/etc/shadow' },
      { kind: 'same', path: 'shadow', as: 'way' },
    ],
    [{ kind: 'directory', path: 'a\n' }],
    [{ kind: 'device', path: 'disk' }],
    [{ kind: 'directory', path: 'a' }],
    [{ kind: 'end', environment: { 'A B': 'x' }, left: 0 }],
  ]
  for (const frames of lies) {
    const said = frames.map((frame) => `${JSON.stringify(frame)}\n${'size' in frame ? 'x' : ''}`).join('')
    const sandbox: Pick<Sandbox, 'run'> = {
      async run(_spec, watch = {}) {
        await watch.onOutput?.('stdout', Buffer.from(said))
        const done = { exitCode: 0, signal: null, durationMs: 1, limit: null, cancelled: false }
        return { ...done, stdoutTail: '', stderrTail: '', leftBehind: [] }
      },
    }
    const lied = createImages({ ...world, identity, sandbox, log: silentLog })
    await assert.rejects(lied.add({ name: 'lie', archive, by }), { code: 'image.invalid' }, said)
  }
  assert.deepEqual(readdirSync(join(world.dataDir, 'images')), [])
})

test('SAND-1: an image is held while it is used, compared before it is, and gone when it is removed', async (t) => {
  const { add, images, audit, folder: kept } = await open(t)
  const { root, image } = await add(tar(shell))
  await add(tar(shell), 'twin')
  await assert.rejects(add(tar(shell)), { code: 'image.exists' })
  await images.use('node', async ({ digest, root: place }) => {
    assert.deepEqual([digest, place], [image.digest, root])
    assert.deepEqual(
      (await images.list()).map(({ name, inUse }) => [name, inUse]),
      [
        ['node', 1],
        ['twin', 0],
      ],
    )
    await assert.rejects(images.remove('node', by), { code: 'image.in_use' })
  })
  await images.remove('twin', by)
  assert.ok(existsSync(root))
  assert.equal((await images.verify('node')).digest, image.digest)
  writeFileSync(join(root, 'bin/planted'), 'x')
  await assert.rejects(images.verify('node'), { code: 'image.changed' })
  mkdirSync(join(kept, '.new-left'))
  await images.sweep()
  assert.deepEqual(readdirSync(kept), [image.digest.slice(7)])
  await images.remove('node', by)
  assert.deepEqual(readdirSync(kept), [])
  for (const refused of [
    () => images.verify('node'),
    () => images.remove('node', by),
    () => images.use('node', async () => 1),
  ])
    await assert.rejects(refused(), { code: 'image.not_found' })
  const { items } = await audit.page({ limit: 10, order: 'desc' })
  assert.deepEqual(
    items.map(({ type }) => type).filter((type) => type.startsWith('image.')),
    ['image.removed', 'image.removed', 'image.added', 'image.added'],
  )
})

test('SAND-1: an agent has an image until another or none is set; what is an agent’s is not removed', async (t) => {
  const { add, images, audit } = await open(t)
  const { image } = await add(tar(shell))
  assert.equal(await images.ofAgent('agt_1'), undefined)
  await images.assign('agt_1', 'node', by)
  assert.equal(await images.ofAgent('agt_1'), 'node')
  assert.deepEqual((await images.list())[0]?.agents, ['agt_1'])
  await assert.rejects(images.remove('node', by), { code: 'image.in_use' })
  await assert.rejects(images.assign('agt_1', 'gone', by), { code: 'image.not_found' })
  await assert.rejects(images.assign('agt_2', 'node', by), { code: 'agent.not_found' })
  assert.equal(await images.ofAgent('agt_1'), 'node', 'what was refused changes nothing')
  await images.assign('agt_1', null, by)
  assert.equal(await images.ofAgent('agt_1'), undefined)
  await images.remove('node', by)
  const { items } = await audit.page({ limit: 10, order: 'asc', type: 'image.assigned' })
  assert.deepEqual(
    items.map(({ actor, target, detail }) => ({ actor, target, detail })),
    [
      {
        actor: 'person:per_1',
        target: 'agent:agt_1',
        detail: { image: 'node', digest: image.digest, before: null },
      },
      { actor: 'person:per_1', target: 'agent:agt_1', detail: { image: null, digest: null, before: 'node' } },
    ],
  )
})

test('SAND-1: what another machine has added can be added on this one, if it is the same', async (t) => {
  const { add, images, folder: kept } = await open(t)
  const { image, root } = await add(tar(shell))
  rmSync(kept, { recursive: true })
  await assert.rejects(
    images.use('node', async () => 1),
    { code: 'image.changed' },
  )
  await assert.rejects(add(tar([...shell, folder('more')])), { code: 'image.exists' })
  assert.equal((await add(tar(shell))).image.addedAt.getTime(), image.addedAt.getTime())
  assert.equal(await images.use('node', async (used) => used.root), root)
})

test('SAND-1: an image that was changed on the disk is not used', async (t) => {
  const { add, images } = await open(t)
  const { root } = await add(tar(shell))
  writeFileSync(join(root, 'bin/planted'), 'x')
  await assert.rejects(
    images.use('node', async () => 1),
    { code: 'image.changed' },
  )
})

test('SAND-2: an archive of the data folder, or one that cannot be read, is refused', async (t) => {
  const { images, dataDir, outside } = await open(t)
  for (const archive of [join(dataDir, 'keyward.db'), join(outside, 'none'), 'relative.tar', outside])
    await assert.rejects(images.add({ name: 'node', archive, by }), { code: 'image.invalid' })
})
