import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { openWorld } from '../../test/support/world.ts'
import { type FileTree, silentLog } from '../core/index.ts'
import { sql } from '../store/index.ts'
import { artifactsMigrations, createArtifacts } from './index.ts'

const owner = { runId: 'run_1', taskId: 'plan' }
const day = 24 * 3600 * 1000

async function openArtifacts(t: TestContext, options: { mostBytes?: number } = {}) {
  const world = await openWorld(t, artifactsMigrations)
  const kept = new Map<string, Buffer>()
  const over = new Set<string>()
  const folder = join(world.dataDir, 'artifacts')
  const artifacts = createArtifacts({
    ...world,
    ...options,
    log: silentLog,
    folder,
    isRunOver: async (runId) => over.has(runId),
    sealed: {
      get: async (path) => kept.get(path),
      put: async (_tx, path, bytes) => void kept.set(path, Buffer.from(bytes)),
      delete: async (_tx, path) => void kept.delete(path),
    },
  })
  return { ...world, artifacts, folder, kept, over }
}

async function* onceOf(bytes: Uint8Array) {
  yield bytes
}

async function make(artifacts: ReturnType<typeof createArtifacts>, files: Record<string, Buffer>) {
  const maker = await artifacts.create(owner)
  for (const [path, bytes] of Object.entries(files))
    await maker.file({ path, size: bytes.length, executable: false }, onceOf(bytes))
  return maker.finish()
}

async function contentOf(tree: FileTree): Promise<Record<string, Buffer>> {
  const content: Record<string, Buffer> = {}
  for await (const entry of tree) {
    if (entry.kind !== 'file') continue
    const parts: Uint8Array[] = []
    for await (const part of entry.body) parts.push(part)
    content[entry.path] = Buffer.concat(parts)
  }
  return content
}

test('WORK-3: what a task leaves is what a later one finds, whatever its size', async (t) => {
  const { artifacts } = await openArtifacts(t)
  const piece = 64 * 1024
  const files = Object.fromEntries(
    [0, 1, piece - 1, piece, piece + 1, 3 * piece + 7].map((size) => [`of-${size}`, randomBytes(size)]),
  )
  const ref = await make(artifacts, files)
  assert.deepEqual(await contentOf(await artifacts.open('run_1', ref)), files)
})

test('WORK-3: the digest is of the names and contents, in whatever order they came', async (t) => {
  const { artifacts } = await openArtifacts(t)
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  const [first, second, other] = [
    await make(artifacts, { a, b }),
    await make(artifacts, { b, a }),
    await make(artifacts, { a: b, b: a }),
  ]
  assert.equal(first.digest, second.digest)
  assert.notEqual(first.digest, other.digest)
})

test('VAULT-1: nothing of an artifact can be read on the disk', async (t) => {
  const { artifacts, folder } = await openArtifacts(t)
  const secret = Buffer.from(randomBytes(24).toString('hex'))
  const { id } = await make(artifacts, { plan: secret })
  assert.equal(readFileSync(join(folder, id)).indexOf(secret), -1)
  assert.equal(readFileSync(join(folder, id)).indexOf('plan'), -1)
})

test('WORK-3: an artifact of another run, of another digest, or of nobody is not found', async (t) => {
  const { artifacts } = await openArtifacts(t)
  const ref = await make(artifacts, { a: Buffer.from('a') })
  const notFound = { code: 'artifact.not_found' }
  await assert.rejects(artifacts.open('run_2', ref), notFound)
  await assert.rejects(artifacts.open('run_1', { ...ref, digest: 'other' }), notFound)
  await assert.rejects(artifacts.check('run_1', { ...ref, id: '../keyward.db' }), notFound)
})

test('WORK-3: an artifact that somebody changed, shortened or exchanged on the disk is refused', async (t) => {
  const { artifacts, folder } = await openArtifacts(t)
  const changes: Record<string, (bytes: Buffer) => Buffer> = {
    changed: (bytes) => Buffer.from(bytes.map((byte, at) => (at === 70_000 ? byte ^ 1 : byte))),
    shortened: (bytes) => bytes.subarray(0, 64 * 1024 + 16),
    emptied: () => Buffer.alloc(0),
    'in another order': (bytes) =>
      Buffer.concat([
        bytes.subarray(64 * 1024 + 16, 2 * (64 * 1024 + 16)),
        bytes.subarray(0, 64 * 1024 + 16),
        bytes.subarray(2 * (64 * 1024 + 16)),
      ]),
  }
  for (const [name, change] of Object.entries(changes)) {
    const ref = await make(artifacts, { large: randomBytes(200_000) })
    const file = join(folder, ref.id)
    writeFileSync(file, change(readFileSync(file)))
    const tree = await artifacts.open('run_1', ref)
    await assert.rejects(contentOf(tree), { code: 'artifact.corrupt' }, name)
  }
})

test('WORK-3: what is discarded leaves nothing', async (t) => {
  const { artifacts, folder, kept } = await openArtifacts(t)
  const maker = await artifacts.create(owner)
  await maker.file({ path: 'a', size: 1, executable: false }, onceOf(Buffer.from('a')))
  await maker.discard()
  assert.deepEqual([readdirSync(folder), kept.size], [[], 0])
})

test('WORK-3: a day after the end of their run artifacts are gone, file and key', async (t) => {
  const { artifacts, store, bus, clock, folder, kept } = await openArtifacts(t)
  const stop = await artifacts.start()
  const { id } = await make(artifacts, { a: Buffer.from('a') })
  clock.advance(30 * day)
  await artifacts.expireDue()
  assert.ok(existsSync(join(folder, id)), 'its run may wait for a person')
  await store.write((tx) => bus.publish(tx, { type: 'run.finished', subject: 'run:run_1' }))
  await eventually(() => store.get(sql`select id from artifacts where expires_at is not null`), 'an end')
  clock.advance(day - 1)
  await artifacts.expireDue()
  assert.ok(existsSync(join(folder, id)))
  clock.advance(1)
  await artifacts.expireDue()
  assert.deepEqual([existsSync(join(folder, id)), kept.size], [false, 0])
  stop()
})

test('WORK-3: a start removes what was half written, and ends what ended meanwhile', async (t) => {
  const { artifacts, clock, folder, over } = await openArtifacts(t)
  const { id } = await make(artifacts, { a: Buffer.from('a') })
  writeFileSync(join(folder, 'art_half'), 'half')
  over.add('run_1')
  const stop = await artifacts.start()
  assert.deepEqual(readdirSync(folder), [id])
  clock.advance(day)
  await artifacts.expireDue()
  assert.deepEqual(readdirSync(folder), [])
  stop()
})

test('WORK-3: no more is kept than there is room for', async (t) => {
  const { artifacts } = await openArtifacts(t, { mostBytes: 10 })
  await make(artifacts, { a: Buffer.alloc(10) })
  await assert.rejects(artifacts.create(owner), { code: 'artifact.full' })
})
