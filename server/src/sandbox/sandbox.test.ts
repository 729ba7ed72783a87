import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder, testLimits } from '../../test/support/sandbox/attacker.ts'
import { silentLog, systemClock } from '../core/index.ts'
import {
  createSandbox,
  type DriverState,
  type SandboxDriver,
  type SandboxResult,
  type SandboxSpec,
} from './sandbox.ts'

const result: SandboxResult = {
  exitCode: 0,
  signal: null,
  durationMs: 1,
  limit: null,
  cancelled: false,
  stdoutTail: '',
  stderrTail: '',
  leftBehind: [],
}
const holding = 'shadow file,data folder,other processes,system files,privileges,network'
  .split(',')
  .map((name) => [name, 'held'])

/** A driver whose sandboxes answer the canaries as told, and which counts the rest. */
function driverThat(state: DriverState, report: object = Object.fromEntries(holding), hogExit = 1) {
  const ran: SandboxSpec[] = []
  const driver: SandboxDriver = {
    name: 'pretended',
    prepare: async () => state,
    async run(spec) {
      if (!spec.id.startsWith('canary-')) ran.push(spec)
      if (spec.command[0] === 'node') return { ...result, stdoutTail: JSON.stringify(report) }
      return { ...result, exitCode: hogExit }
    },
    sweep: async () => 0,
  }
  return { driver, ran }
}

const controllers = ['memory', 'pids']
const able: DriverState = { ready: true, mode: 'test', userId: 'own', controllers, reasons: [] }
const spec: SandboxSpec = { id: 'one', command: ['true'], env: {}, limits: testLimits }

async function sandboxOn(t: TestContext, { driver }: { driver: SandboxDriver }) {
  const dataDir = join(await temporaryFolder(t), 'data')
  return { dataDir, sandbox: createSandbox({ driver, clock: systemClock, log: silentLog, dataDir }) }
}

test('SAND-2: where isolation is not available, it refuses and says why', async (t) => {
  const made = driverThat({ ready: false, reasons: ['bubblewrap is not installed.'] })
  const { sandbox } = await sandboxOn(t, made)
  await assert.rejects(sandbox.run(spec), {
    code: 'sandbox.unavailable',
    detail: 'bubblewrap is not installed.',
  })
  assert.equal((await sandbox.probe()).level, 'none')
  assert.equal(made.ran.length, 0)
})

test('SAND-2: one canary that gets out closes the sandbox for everybody', async (t) => {
  for (const made of [
    driverThat(able, { ...Object.fromEntries(holding), network: 'escaped' }),
    driverThat(able, { network: 'held' }),
    driverThat(able, Object.fromEntries(holding), 0),
  ]) {
    const { sandbox } = await sandboxOn(t, made)
    await assert.rejects(sandbox.run(spec), { code: 'sandbox.unavailable' })
    assert.equal(made.ran.length, 0)
  }
})

test('SAND-2: a driver that breaks while it is measured counts as none', async (t) => {
  const made = driverThat(able)
  const driver = { ...made.driver, prepare: () => Promise.reject(new Error('broken')) }
  const { sandbox } = await sandboxOn(t, { driver })
  const probe = await sandbox.probe()
  assert.equal(probe.level, 'none')
  assert.match(probe.reasons.join(), /broken/)
})

test('SAND-1: the level says whether control groups bound it', async (t) => {
  const full = await sandboxOn(t, driverThat(able))
  assert.equal((await full.sandbox.probe()).level, 'full')
  const bare = await sandboxOn(t, driverThat({ ...able, controllers: ['cpu'], reasons: ['No groups.'] }))
  const probe = await bare.sandbox.probe()
  assert.deepEqual([probe.level, probe.reasons], ['no-cgroup', ['No groups.']])
})

test('SAND-2: what is put right counts at once; what held is measured once', async (t) => {
  let state: DriverState = { ready: false, reasons: ['Not yet.'] }
  let prepared = 0
  const made = driverThat(able)
  const prepare = async () => {
    prepared += 1
    return state
  }
  const { sandbox } = await sandboxOn(t, { driver: { ...made.driver, prepare } })
  await assert.rejects(sandbox.run(spec), { code: 'sandbox.unavailable' })
  state = able
  await sandbox.run(spec)
  await sandbox.run(spec)
  assert.equal(prepared, 2)
})

test('SAND-2: a specification that makes no sense runs nothing', async (t) => {
  const made = driverThat(able)
  const { sandbox } = await sandboxOn(t, made)
  const wrong: Partial<SandboxSpec>[] = [
    { id: '../up' },
    { id: '' },
    { limits: { ...testLimits, wallSeconds: 0 } },
    { limits: { ...testLimits, memoryBytes: Number.NaN } },
    { env: { 'A=B': 'x' } },
    { env: { A: 'x\0y' } },
    { command: ['true\0'] },
  ]
  for (const part of wrong)
    await assert.rejects(sandbox.run({ ...spec, ...part }), { code: 'sandbox.failed' })
  assert.equal(made.ran.length, 0)
})

test('SAND-2: no mount shows the data folder or covers what is the sandbox’s own', async (t) => {
  const made = driverThat(able)
  const { sandbox, dataDir } = await sandboxOn(t, made)
  await mkdir(join(dataDir, 'deep'), { recursive: true })
  const link = join(dataDir, '..', 'link')
  await symlink(dataDir, link)
  const paths = [
    '/',
    '/etc',
    '/etc/shadow',
    '/proc',
    '/opt',
    'usr',
    '/no/such',
    dataDir,
    join(dataDir, 'deep'),
    link,
  ]
  for (const path of [...paths, join(dataDir, '..')]) {
    await assert.rejects(sandbox.run({ ...spec, readOnly: [path] }), { code: 'sandbox.failed' }, path)
  }
  const fine = join(dataDir, '..', 'fine')
  await writeFile(fine, '')
  await sandbox.run({ ...spec, readOnly: [fine] })
  assert.equal(made.ran.length, 1)
})

test('SAND-2: no workspace is, holds or lies in the data folder, but for the examples of the first run', async (t) => {
  const made = driverThat(able)
  const { sandbox, dataDir } = await sandboxOn(t, made)
  await mkdir(join(dataDir, 'example', 'agent-task'), { recursive: true })
  const link = join(dataDir, '..', 'link')
  await symlink(dataDir, link)
  for (const workspace of [dataDir, link, join(dataDir, 'example'), join(dataDir, '..'), '/no/such', '/'])
    await assert.rejects(sandbox.run({ ...spec, workspace }), { code: 'sandbox.failed' }, workspace)
  await sandbox.run({ ...spec, workspace: join(dataDir, 'example', 'agent-task') })
  assert.equal(made.ran.length, 1)
})
