// What comes out of a sandbox is written by whoever took it over. These are the frames that such a guest could send.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/support/sandbox/attacker.ts'
import { createFrameReader } from './frames.ts'
import { folderTaker } from './tree.ts'
import { claimTarget, receive } from './workspace.ts'

const frame = (value: object): string => `${JSON.stringify(value)}\n`
const file = (path: string, content: string): string =>
  frame({ kind: 'file', path, size: content.length, executable: false }) + content
const exited = frame({ kind: 'exited', code: 0, signal: null, full: false })
const end = frame({ kind: 'end' })

async function receiving(t: TestContext, sent: string, diskBytes = 1000) {
  const folder = await temporaryFolder(t)
  const target = join(folder, 'target')
  await claimTarget(target)
  // One byte at a time: no frame may depend on how the channel cuts it.
  const channel = Readable.from([...Buffer.from(sent)].map((byte) => Buffer.from([byte])))
  const frames = createFrameReader(channel)
  return {
    folder,
    target,
    received: receive({ frames, target: folderTaker(target), diskBytes, onStarted: () => undefined }),
  }
}

test('SAND-1: folders, files and the exit arrive', async (t) => {
  const sent = exited + frame({ kind: 'directory', path: 'a' }) + file('a/b', 'text') + file('c', '') + end
  const { target, received } = await receiving(t, sent)
  assert.deepEqual(await received, { exit: JSON.parse(exited), leftBehind: [], full: false })
  assert.equal(await readFile(join(target, 'a/b'), 'utf8'), 'text')
  assert.equal(await readFile(join(target, 'c'), 'utf8'), '')
})

test('SAND-2: no name leads out of the target', async (t) => {
  const names = [
    '../out',
    '/tmp/out',
    'a/../../out',
    './out',
    'a//out',
    '',
    '..',
    'missing/out',
    'o\nut',
    'o\u0000ut',
    'a\\b',
  ]
  const { folder, target, received } = await receiving(t, names.map((name) => file(name, 'x')).join('') + end)
  assert.deepEqual((await received).leftBehind, names)
  assert.deepEqual(await readdir(target), [])
  assert.deepEqual(await readdir(folder), ['target'])
})

test('SAND-2: a file never replaces another, nor becomes a folder', async (t) => {
  const { target, received } = await receiving(t, file('a', 'first') + file('a', 'second') + end)
  await assert.rejects(received, { code: 'EEXIST' })
  assert.equal(await readFile(join(target, 'a'), 'utf8'), 'first')
})

test('SAND-2: more than the disk limit is not taken', async (t) => {
  const huge = frame({ kind: 'file', path: 'huge', size: 2 ** 50, executable: false })
  const { target, received } = await receiving(t, file('small', 'x') + huge)
  assert.equal((await received).full, true)
  assert.ok(!existsSync(join(target, 'huge')))
})

test('SAND-2: however many names are sent, few are kept', async (t) => {
  const { received } = await receiving(t, frame({ kind: 'left', path: 'x', reason: 'link' }).repeat(5000))
  const { full, leftBehind } = await received
  assert.deepEqual([full, leftBehind.length], [true, 1000])
})

test('SAND-2: a file that ends early, a header without an end, and nonsense are refused', async (t) => {
  const cut = await receiving(t, `${frame({ kind: 'file', path: 'cut', size: 100, executable: false })}abc`)
  await assert.rejects(cut.received, /ended inside a file/)
  const endless = await receiving(t, 'x'.repeat(40_000))
  await assert.rejects(endless.received, /without an end/)
  for (const nonsense of [
    '{}\n',
    '[]\n',
    'null\n',
    '{"kind":"file","path":"x","size":-1,"executable":true}\n',
    'x\n',
  ]) {
    await assert.rejects((await receiving(t, nonsense)).received)
  }
})

test('SAND-2: a channel that ends gives what was said until then', async (t) => {
  const { received } = await receiving(t, exited)
  assert.equal((await received).exit?.code, 0)
})

test('SAND-2: what the guest says of its own failure is passed on', async (t) => {
  const { received } = await receiving(t, frame({ kind: 'failed', reason: 'ENOSPC' }))
  await assert.rejects(received, { code: 'sandbox.failed', detail: 'Inside the sandbox: ENOSPC' })
})
