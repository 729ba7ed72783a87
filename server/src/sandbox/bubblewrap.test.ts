// The driver contract on this machine, and what is bubblewrap's alone. As root the file runs itself again in other roles.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import {
  attacker,
  processesWith,
  temporaryFolder,
  testId,
  testLimits,
} from '../../test/support/sandbox/attacker.ts'
import { commandContract } from '../../test/support/sandbox/command.ts'
import { sandboxDriverContract } from '../../test/support/sandbox/contract.ts'
import { hostContract } from '../../test/support/sandbox/host.ts'
import { limitsContract } from '../../test/support/sandbox/limits.ts'
import { networkContract } from '../../test/support/sandbox/network.ts'
import { pairContract } from '../../test/support/sandbox/pair.ts'
import { workspaceContract } from '../../test/support/sandbox/workspace.ts'
import { systemClock } from '../core/index.ts'
import { createBubblewrapDriver } from './bubblewrap.ts'
import { findProgram } from './install.ts'
import { markOf } from './records.ts'
import type { SandboxDriver } from './sandbox.ts'

const setpriv = findProgram('setpriv') ?? 'setpriv is not installed'
const isRoot = process.getuid?.() === 0
/** Set in the runs that this file starts of itself. */
const isAgain = process.env['KEYWARD_TEST_AGAIN'] ? 'this is such a run' : false
const hidden: (() => unknown)[] = []
const stateDir = await temporaryFolder({ after: (clean) => void hidden.push(clean as () => unknown) })
const nodePath = process.execPath
const driver: SandboxDriver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir: join(stateDir, 'sandbox'),
  nodePath,
})
const state = await driver.prepare()
const { shell } = attacker(driver)
after(async () => {
  for (const clean of hidden) await clean()
})

const skip = state.ready ? false : `this machine gives no namespaces: ${state.reasons.join(' ')}`
const bounded = state.ready && state.controllers.includes('memory') && state.controllers.includes('pids')

sandboxDriverContract({ driver, skip, bounded, stateDir })

// Nothing may tell a sandbox that was started ahead of its task from one that was started for it.
describe('started ahead', { skip }, () => {
  const pooled = createBubblewrapDriver({
    clock: systemClock,
    random: Math.random,
    stateDir: join(stateDir, 'pooled'),
    nodePath,
    pool: 4,
  })
  const { ahead } = pooled
  assert.ok(ahead)
  let added = 0
  const taking: SandboxDriver = {
    ...pooled,
    async run(spec, watch) {
      await ahead.add(spec)
      added += ahead.waiting()
      return pooled.run(spec, watch)
    },
  }
  const whole = [hostContract, limitsContract, pairContract]
  const contracts = [commandContract, workspaceContract, networkContract, ...(isAgain ? [] : whole)]
  for (const contract of contracts) contract({ driver: taking, skip, bounded, stateDir })

  test('SAND-1: each of these runs took the one that waited', () => {
    if (process.availableMemory() > 2 * 1024 ** 3) assert.ok(added > 0)
    assert.equal(ahead.waiting(), 0)
  })
})

describe('its user ids', { skip: skip || (!isRoot && 'not root') }, () => {
  test('SAND-1: as root, each sandbox has a user id of its own', {
    skip: isRoot ? false : 'not root',
  }, async () => {
    const ids = await Promise.all([1, 2].map(async () => Number((await shell('id -u')).stdoutTail)))
    if (!state.ready || state.mode !== 'root') return
    for (const id of ids) assert.ok(id >= 1_900_000_000)
    assert.notEqual(ids[0], ids[1])
  })
})

describe('a server that dies', { skip }, () => {
  test('SAND-2: kill -9 leaves no process, and the next start sweeps what is left', async (t) => {
    const folder = await temporaryFolder(t)
    const mark = `${6_000_000 + process.pid}`
    const script = new URL('../../test/support/sandbox/victim.ts', import.meta.url).pathname
    const victim = spawn(nodePath, [script, folder, mark, 'bubblewrap'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => victim.stdout.once('data', resolve))
    assert.equal((await readdir(join(folder, 'running'))).length, 2, 'one of them waited for a task')
    victim.kill('SIGKILL')
    await new Promise((resolve) => victim.once('exit', resolve))
    const marks = await Promise.all(
      (await readdir(join(folder, 'running'))).map((name) => readFile(join(folder, 'running', name), 'utf8')),
    )
    const next = createBubblewrapDriver({
      clock: systemClock,
      random: Math.random,
      stateDir: folder,
      nodePath,
    })
    assert.equal(await next.sweep(), 2)
    assert.deepEqual(await readdir(join(folder, 'running')), [])
    for (const text of marks) {
      const { pid } = JSON.parse(text).process
      await eventually(async () => (await markOf(pid)) === undefined, `the end of process ${pid}`)
    }
    assert.equal(await next.sweep(), 0)
    await eventually(async () => (await processesWith(mark)).length === 0, 'the last process to end')
  })

  test('SAND-2: a sweep leaves alone what a living server runs', async () => {
    const cancel = new AbortController()
    let swept = -1
    const spec = {
      id: testId(),
      command: ['sh', '-c', 'echo on; sleep 600'] as const,
      env: {},
      limits: testLimits,
    }
    const result = await driver.run(spec, {
      signal: cancel.signal,
      onOutput: () =>
        void driver.sweep().then((count) => {
          swept = count
          cancel.abort()
        }),
    })
    assert.equal(swept, 0)
    assert.equal(result.cancelled, true)
  })
})

describe('other ways to start the server', {
  skip: skip || isAgain || (!isRoot && 'they start as root'),
}, () => {
  const without = ['--bounding-set=-sys_admin', '--']
  const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--']

  async function again(t: TestContext, words: string[], pattern: string): Promise<void> {
    const folder = await temporaryFolder(t)
    await chmod(folder, 0o777)
    const [mayRead] = await finished(spawn(setpriv, [...words, nodePath, '--check', import.meta.filename]))
    if (mayRead !== 0) {
      t.skip('that user may not read this checkout')
      return
    }
    const options = ['--test-reporter=tap', `--test-name-pattern=${pattern}`]
    const env = { PATH: process.env['PATH'] ?? '', TMPDIR: folder, KEYWARD_TEST_AGAIN: '1' }
    const child = spawn(setpriv, [...words, nodePath, ...options, import.meta.filename], {
      cwd: folder,
      env,
    })
    const [code, report] = await finished(child)
    // With what each of them says of itself: nobody can run them again as they were.
    const failures = report.match(/^ *not ok .*\n( *---\n[\s\S]*?\n *\.\.\.$)?/gm) ?? [report.slice(-4000)]
    assert.equal(code, 0, failures.join('\n').slice(0, 16_000))
    assert.match(report, /^# pass [1-9]/m)
  }

  test('SAND-2: the same attacks fail when it is an ordinary user', (t) => again(t, nobody, '.'))

  test('SAND-2: the same holds for root in a container that may not mount', (t) =>
    again(t, without, 'the host|the network|the workspace'))
})

async function finished(child: ChildProcess): Promise<[code: number | null, report: string]> {
  let report = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      report += chunk
    })
  }
  return new Promise((resolve) => child.once('close', (code) => resolve([code, report])))
}
