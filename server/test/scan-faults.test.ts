// A scan through the server of a folder that holds what no scan should trip over.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { newPaymentsKey } from './support/leaky-project.ts'
import { codeOf, scratchFolder, startServer } from './support/server.ts'
import { oneKeyProject, scanned } from './support/steps.ts'

/** Becomes the server without the right of root to read every file. */
const withoutOverride =
  process.getuid?.() === 0
    ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all']
    : []

test('DISC-1: an unreadable file, a loop of links, a pipe and a 2 GB binary are told or passed over', async (t) => {
  const project = oneKeyProject(t)
  const at = (...names: string[]): string => join(project.folder, ...names)
  const hidden = newPaymentsKey()
  writeFileSync(at('locked.env'), `STRIPE_KEY=${newPaymentsKey()}\n`)
  if (process.getuid?.() === 0) chownSync(at('locked.env'), 1, 1)
  chmodSync(at('locked.env'), 0)
  mkdirSync(at('deep', 'deeper'), { recursive: true })
  symlinkSync('..', at('deep', 'deeper', 'up'))
  symlinkSync('loop', at('loop'))
  symlinkSync('nowhere', at('dangling'))
  const outside = join(scratchFolder(t, 'outside'), 'other.env')
  writeFileSync(outside, `STRIPE_KEY=${hidden}\n`)
  symlinkSync(outside, at('outside.env'))
  execFileSync('mkfifo', [at('pipe')])
  writeFileSync(at('disk.img'), Buffer.from([0, 1, 2, 3]))
  truncateSync(at('disk.img'), 2 * 1024 ** 3)
  writeFileSync(at('broken.env'), Buffer.from([0xff, 0xfe, 0x41]))

  const server = await startServer(t, { wrap: withoutOverride })
  const scan = await scanned(server, project.folder)
  assert.equal(scan.state, 'finished')
  assert.deepEqual(scan.problems.map(({ file }) => file).sort(), ['locked.env', 'outside.env'])
  const reasonOf = (name: string): string => scan.problems.find(({ file }) => file === name)?.reason ?? ''
  assert.match(reasonOf('locked.env'), /permission|EACCES/i)
  assert.match(reasonOf('outside.env'), /leads out of the scanned folder/)
  const { items } = await server.call(api.findings.list, {})
  assert.deepEqual(
    items.map(({ places }) => places.map(({ file, line }) => `${file}:${line}`)),
    [['.env:2']],
  )
})

test('DISC-1: a folder that is none is refused, whoever asks', async (t) => {
  const server = await startServer(t)
  const file = join(scratchFolder(t), 'file')
  writeFileSync(file, '')
  for (const path of ['/nowhere/at/all', file, '']) {
    const { status, ...reply } = await server.ask('POST', '/api/v1/scans', { body: { path, history: false } })
    assert.equal(status, 400, path)
    assert.match(codeOf({ status, ...reply }), /^(?:scan\.path_unreadable|request\.invalid)$/)
  }
  const own = await server.ask('POST', '/api/v1/scans', { body: { path: server.dataDir, history: false } })
  assert.deepEqual([own.status, codeOf(own)], [400, 'scan.path_unreadable'])
})

test('DISC-3: the same value in two scans is one finding, and an ignored one stays ignored', async (t) => {
  const server = await startServer(t)
  const project = oneKeyProject(t)
  await scanned(server, project.folder)
  const [finding] = (await server.call(api.findings.list, {})).items
  assert.ok(finding)
  await server.call(api.findings.ignore, { findingIds: [finding.id], reason: 'a test account' })
  writeFileSync(join(project.folder, 'copy.env'), `STRIPE_KEY=${project.value}\n`)
  await scanned(server, project.folder)
  const { items } = await server.call(api.findings.list, {})
  assert.deepEqual(
    items.map(({ id, state, places }) => [id, state, places.map(({ file }) => file).sort()]),
    [[finding.id, 'ignored', ['.env', 'copy.env']]],
  )
  const preview = await server.ask('POST', '/api/v1/findings/preview', { body: { findingIds: [finding.id] } })
  assert.deepEqual([preview.status, codeOf(preview)], [409, 'finding.state'])
})
