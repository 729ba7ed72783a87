import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder, testLimits } from '../../test/support/sandbox/attacker.ts'
import { systemClock } from '../core/index.ts'
import { createSandboxDriver, firstOf, sandboxKindOf, sandboxPoolOf } from './drivers.ts'
import type { DriverState, SandboxDriver, SandboxSpec } from './sandbox.ts'

const spec: SandboxSpec = { id: 'one', command: ['true'], env: {}, limits: testLimits }

function pretended(name: string, state: DriverState) {
  const ran: string[] = []
  const driver: SandboxDriver = {
    name,
    prepare: async () => state,
    async run({ id }) {
      ran.push(id)
      const nothing = { exitCode: 0, signal: null, durationMs: 0, limit: null, cancelled: false }
      return { ...nothing, stdoutTail: name, stderrTail: '', leftBehind: [] }
    },
    sweep: async () => 1,
  }
  return { driver, ran }
}

const able: DriverState = { ready: true, mode: 'test', userId: 'own', controllers: [], reasons: [] }
const unable = (reason: string): DriverState => ({ ready: false, reasons: [reason] })

test('SAND-1: without a setting any driver will do; a name that is none stops the server', () => {
  assert.equal(sandboxKindOf(undefined), 'auto')
  assert.equal(sandboxKindOf(''), 'auto')
  assert.equal(sandboxKindOf('podman'), 'podman')
  assert.throws(() => sandboxKindOf('none'), { code: 'sandbox.driver_unknown' })
})

test('SAND-1: without a setting two may wait; what is no number of sandboxes stops the server', () => {
  assert.deepEqual([undefined, '', '0', '32'].map(sandboxPoolOf), [2, 2, 0, 32])
  for (const setting of ['-1', '33', 'many', '1.5', '1e1'])
    assert.throws(() => sandboxPoolOf(setting), { code: 'sandbox.pool_invalid' })
})

test('SAND-1: of several drivers the first that is ready runs everything, and gives its name', async () => {
  const [absent, first, second] = [
    pretended('absent', unable('It is absent.')),
    pretended('first', able),
    pretended('second', able),
  ]
  const driver = firstOf('auto', [absent.driver, first.driver, second.driver])
  assert.equal(driver.name, 'auto')
  assert.equal((await driver.run(spec, {})).stdoutTail, 'first')
  assert.equal(driver.name, 'first')
  assert.deepEqual([absent.ran, first.ran, second.ran], [[], ['one'], []])
  assert.equal(await driver.sweep(), 3, 'what another driver has left is swept, too')
})

test('SAND-2: when none is ready, each says why, and nothing runs', async () => {
  const all = [pretended('one', unable('One is absent.')), pretended('two', unable('Two is absent.'))]
  const driver = firstOf(
    'auto',
    all.map(({ driver }) => driver),
  )
  assert.deepEqual(await driver.prepare(), { ready: false, reasons: ['One is absent.', 'Two is absent.'] })
  await assert.rejects(driver.run(spec, {}), { code: 'sandbox.unavailable' })
  assert.deepEqual(
    all.flatMap(({ ran }) => ran),
    [],
  )
})

test('SAND-2: a driver that was asked for and is not there is a reason, and no other takes its place', async (t) => {
  const stateDir = await temporaryFolder(t)
  const env = { ...process.env, DOCKER_HOST: `unix://${stateDir}/no.sock` }
  const needs = { clock: systemClock, random: () => 0.5, nodePath: process.execPath, stateDir, env }
  const driver = createSandboxDriver({ kind: 'docker', ...needs })
  const state = await driver.prepare()
  assert.match(state.reasons.join(' '), /^docker (is not installed|does not answer)/)
  assert.equal(state.ready, false)
  await assert.rejects(driver.run(spec, {}), { code: 'sandbox.unavailable' })
  assert.equal(await driver.sweep(), 0)
})
