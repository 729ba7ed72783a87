// The driver contract on the container engines of this machine: Podman, a Docker engine of the test's own, and gVisor.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { layBait, tryAll } from '../../test/attack/bait.ts'
import { sandboxAttacks } from '../../test/attack/sandbox-attacks.ts'
import { startDocker } from '../../test/support/docker-engine.ts'
import { eventually } from '../../test/support/eventually.ts'
import { mayBeMissing } from '../../test/support/needed.ts'
import {
  attacker,
  processesWith,
  type Subject,
  temporaryFolder,
} from '../../test/support/sandbox/attacker.ts'
import { commandContract } from '../../test/support/sandbox/command.ts'
import { sandboxDriverContract } from '../../test/support/sandbox/contract.ts'
import { networkContract } from '../../test/support/sandbox/network.ts'
import { pairContract } from '../../test/support/sandbox/pair.ts'
import { workspaceContract } from '../../test/support/sandbox/workspace.ts'
import { silentLog, systemClock } from '../core/index.ts'
import { createSandboxDriver, type SandboxKind } from './drivers.ts'
import { findProgram } from './install.ts'
import { createSandbox } from './sandbox.ts'

const hidden: (() => unknown)[] = []
const stateDir = await temporaryFolder({ after: (clean) => void hidden.push(clean as () => unknown) })
const docker = await startDocker(stateDir)
after(async () => {
  await docker?.stop()
  for (const clean of hidden) await clean()
})

// The usual runtime, crun, refuses machines with both versions of control groups; runc does not.
const podmanSettings = join(stateDir, 'containers.conf')
const runc = findProgram('runc')
await writeFile(podmanSettings, runc ? '[engine]\nruntime = "runc"\n' : '')
const env = { ...process.env, CONTAINERS_CONF: podmanSettings, DOCKER_HOST: docker?.host }

const driverOf = (kind: SandboxKind, folder: string) =>
  createSandboxDriver({
    kind,
    env,
    stateDir: folder,
    clock: systemClock,
    random: Math.random,
    nodePath: process.execPath,
  })

/** Whether Podman starts anything at all on this machine: then a driver that is not ready is a fault of ours. */
async function runsPlainly(): Promise<boolean> {
  const root = join(stateDir, 'plain')
  await mkdir(root)
  for (const name of ['lib', 'lib64']) await symlink(`usr/${name}`, join(root, name))
  const limits = [
    '--ulimit',
    'nofile=64:64',
    '--ulimit',
    'nproc=64:64',
    '--memory',
    '64m',
    '--pids-limit',
    '64',
  ]
  const words = ['run', '--rm', '--network', 'none', ...limits, '--volume', '/usr:/usr:ro', '--rootfs', root]
  return spawnSync('podman', [...words, '/usr/bin/true'], { env, stdio: 'ignore' }).status === 0
}

async function subjectOf(kind: SandboxKind): Promise<Subject> {
  const folder = join(stateDir, kind)
  await mkdir(folder)
  const driver = driverOf(kind, folder)
  if (kind === 'docker' && !docker)
    return { driver, skip: 'no Docker engine can be started here', bounded: false, stateDir: folder }
  const state = await driver.prepare()
  if (!state.ready && (kind === 'docker' || (kind === 'podman' && (await runsPlainly()))))
    assert.fail(`the engine works here, but its driver does not: ${state.reasons.join(' ')}`)
  if (!state.ready) return { driver, skip: state.reasons.join(' '), bounded: false, stateDir: folder }
  const bounded = state.controllers.includes('memory') && state.controllers.includes('pids')
  return { driver, skip: false, bounded, stateDir: folder }
}

for (const kind of ['podman', 'docker'] as const) {
  const subject = await subjectOf(kind)
  describe(kind, { skip: subject.skip, concurrency: 3 }, () => {
    sandboxDriverContract(subject)
    test('SAND-2: kill -9 of the server ends its sandbox, and the next start removes it', (t) =>
      killed(t, kind))
    test('SAND-2: one whose guest was stopped by its command outlives kill -9, and the next start ends it', (t) =>
      killed(t, kind, 'hostile'))
    test('SAND-2: attacks on the host fail', {
      skip: findProgram('perl', '/usr/bin')
        ? false
        : mayBeMissing('perl makes the calls and is not installed'),
    }, async (t) => {
      assert.deepEqual(await tryAll(subject.driver, sandboxAttacks, await layBait(t)), [])
    })
  })
}

const gvisor = await subjectOf('gvisor')
/** gVisor implements these itself, in a process of this sandbox: a device, a namespace or a log there is none of the host's. */
const answeredInside = [
  'make a device',
  'unshare a user namespace',
  'unshare a mount namespace',
  'clone into a user namespace',
  'trace a process (ptrace)',
  'set up a ring of calls that no filter sees (io_uring)',
  'read the log of the kernel (syslog)',
  'open a netlink socket',
]
describe('gvisor', { skip: gvisor.skip, concurrency: 3 }, () => {
  commandContract(gvisor)
  workspaceContract(gvisor)
  networkContract(gvisor)
  pairContract(gvisor)

  test('SAND-2: the kernel that a command sees is not the host’s', async () => {
    const { stdoutTail } = await attacker(gvisor.driver).shell('dmesg')
    assert.match(stdoutTail, /gVisor/)
  })

  test('SAND-2: attacks on the host fail; what gets through is answered by a kernel of the sandbox’s own', {
    skip: findProgram('perl', '/usr/bin') ? false : mayBeMissing('perl makes the calls and is not installed'),
  }, async (t) => {
    const through = await tryAll(gvisor.driver, sandboxAttacks, await layBait(t))
    assert.deepEqual(
      through.filter((name) => !answeredInside.includes(name)),
      [],
    )
  })

  test('SAND-2: the canaries hold', async (t) => {
    const dataDir = join(await temporaryFolder(t), 'data')
    const sandbox = createSandbox({ driver: gvisor.driver, clock: systemClock, log: silentLog, dataDir })
    const { level, reasons, details } = await sandbox.probe()
    assert.equal(level, gvisor.bounded ? 'full' : 'no-cgroup', reasons.join(' '))
    assert.match(details?.driver ?? '', /^gvisor/)
  })
})

async function killed(t: TestContext, kind: SandboxKind, hostile?: 'hostile'): Promise<void> {
  const folder = await temporaryFolder(t)
  const mark = `${{ podman: 7, docker: 8 }[String(kind)] ?? 9}${hostile ? 1 : 0}${process.pid}`
  const script = new URL('../../test/support/sandbox/victim.ts', import.meta.url).pathname
  const victim = spawn(process.execPath, [script, folder, mark, kind, ...(hostile ? [hostile] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  })
  await new Promise((resolve) => victim.stdout.once('data', resolve))
  if (hostile)
    await eventually(async () => stoppedAbove(await processesWith(mark)), 'the guest to be stopped')
  victim.kill('SIGKILL')
  await new Promise((resolve) => victim.once('exit', resolve))
  const gone = async () => (await processesWith(mark)).length === 0
  if (!hostile) await eventually(gone, 'the last process to end')
  const next = driverOf(kind, folder)
  assert.equal(await gone(), !hostile)
  assert.equal(await next.sweep(), 1)
  await eventually(gone, 'the last process to end')
  assert.equal(await next.sweep(), 0)
}

/** Whether a process two above one of these is stopped: their shell is started by the guest. */
async function stoppedAbove(pids: readonly string[]): Promise<boolean> {
  const stat = async (pid: string): Promise<string[]> =>
    (await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')).replace(/.*\) /, '').split(' ')
  const states = pids.map(async (pid) => {
    const [, shell = ''] = await stat(pid)
    const [, guest = ''] = await stat(shell)
    return (await stat(guest))[0]
  })
  return (await Promise.all(states)).includes('T')
}
