import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/support/sandbox/attacker.ts'
import { takePlace, writeCertificates } from './egress-folder.ts'

async function folders(t: TestContext) {
  const parent = await temporaryFolder(t)
  const [given, mounted] = [join(parent, 'given'), join(parent, 'mounted')]
  for (const folder of [given, mounted]) await mkdir(folder)
  const socketPath = join(given, 'egress.sock')
  await writeFile(socketPath, 'socket')
  return { parent, given, mounted, socketPath }
}

test('SAND-1: a mounted folder takes the place of the one that the socket is in', async (t) => {
  const { parent, given, mounted, socketPath } = await folders(t)
  const { ino } = await stat(mounted)
  assert.equal(takePlace(mounted, socketPath), true)
  assert.equal((await stat(given)).ino, ino)
  assert.equal(await readFile(socketPath, 'utf8'), 'socket')
  assert.deepEqual(await readdir(parent), ['given'])
})

test('SAND-2: where something else lies beside the socket, both stay as they were', async (t) => {
  const { given, mounted, socketPath } = await folders(t)
  await writeFile(join(given, 'other'), 'mine')
  const { ino } = await stat(given)
  assert.equal(takePlace(mounted, socketPath), false)
  assert.equal((await stat(given)).ino, ino)
  assert.deepEqual((await readdir(given)).sort(), ['egress.sock', 'other'])
  assert.deepEqual(await readdir(mounted), [])
})

test('SAND-2: a socket that is not there leaves everything in its place', async (t) => {
  const { parent, mounted } = await folders(t)
  assert.equal(takePlace(mounted, join(parent, 'absent/egress.sock')), false)
  assert.deepEqual((await readdir(parent)).sort(), ['given', 'mounted'])
})

test('SAND-1: the authorities of a task are readable, and replace those of the one before', async (t) => {
  const { given } = await folders(t)
  for (const text of ['one', 'two']) await writeCertificates(given, text)
  const file = join(given, 'ca.pem')
  assert.equal(await readFile(file, 'utf8'), 'two')
  assert.equal((await stat(file)).mode & 0o777, 0o444)
})
