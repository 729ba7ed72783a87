// An archive is read by a sandbox of this machine, and commands run in what comes of it.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { hostPrograms, tar } from '../../test/support/image-archive.ts'
import { attacker, temporaryFolder, testId, testLimits } from '../../test/support/sandbox/attacker.ts'
import { hostContract } from '../../test/support/sandbox/host.ts'
import { openWorld } from '../../test/support/world.ts'
import { silentLog, systemClock } from '../core/index.ts'
import {
  createBubblewrapDriver,
  createSandbox,
  createSandboxDriver,
  findProgram,
  type SandboxDriver,
  type SandboxSpec,
} from '../sandbox/index.ts'
import { createImages, imagesMigrations } from './index.ts'

const hidden: (() => unknown)[] = []
const held = { after: (clean: unknown) => void hidden.push(clean as () => unknown) } as unknown as TestContext
after(async () => {
  for (const clean of hidden.reverse()) await clean()
})

const stateDir = await temporaryFolder(held)
const nodePath = process.execPath
const needs = { clock: systemClock, random: Math.random, nodePath, stateDir: join(stateDir, 'state') }
const driver = createBubblewrapDriver({ ...needs, pool: 2 })
const state = await driver.prepare()
const world = await openWorld(held, imagesMigrations)
const log = silentLog
const sandbox = createSandbox({ driver, clock: systemClock, log, dataDir: world.dataDir })
const images = createImages({ ...world, identity: { agent: async () => undefined }, sandbox, log })
const by = { kind: 'person' as const, id: 'per_1', name: 'Ada', roles: ['owner'] as const }
const programs = ['sh', 'cat', 'echo', 'ls', 'mkfifo', 'touch', 'tr', 'wc', 'id', 'env', 'sleep']

/** The image as a command finds it; undefined where this machine isolates nothing. */
async function prepared(): Promise<SandboxSpec['image']> {
  if (!state.ready || state.mode === 'root-user-namespace') return undefined
  const archive = join(stateDir, 'root.tar')
  const found = programs.map((name) => findProgram(name) ?? assert.fail(`${name} is not here`))
  const members = [
    { path: 'etc/os-release', content: 'NAME=prepared\n' },
    { path: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\n' },
    { path: 'opt/tool', content: 'tool\n' },
    { path: 'home/agent/planted', content: 'planted\n' },
  ]
  writeFileSync(archive, tar([...hostPrograms(found), ...members]), { mode: 0o600 })
  await images.add({ name: 'prepared', archive, by })
  return images.use('prepared', async (image) => ({ ...image, environment: { FROM_IMAGE: 'yes' } }))
}

const image = await prepared()
const skip = image ? false : 'this machine gives no sandbox that can have an image'
const within = (one: SandboxDriver): SandboxDriver => ({
  ...one,
  run: (spec, watch) => one.run(image ? { ...spec, image } : spec, watch),
})

describe('in an image', { skip }, () => {
  const { shell } = attacker(within(driver))
  hostContract({ driver: within(driver), skip, bounded: false, stateDir })

  test('SAND-1: a command finds the files of the image in place of those of the host', async () => {
    const script =
      'cat /etc/os-release /opt/tool; ls /; echo $FROM_IMAGE $PATH; ls /usr/bin; ls -A ~; id -un; cat /etc/passwd'
    const { stdoutTail, stderrTail } = await shell(script, { env: { A: 'b' } })
    assert.equal(stderrTail, '')
    const lines = stdoutTail.split('\n')
    assert.deepEqual(lines.slice(0, 2), ['NAME=prepared', 'tool'])
    assert.ok(lines.includes('yes /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'), stdoutTail)
    assert.ok(lines.includes('agent'))
    for (const own of ['planted', 'node', 'perl', 'root:x:0:0::/root:/bin/sh'])
      assert.ok(!lines.includes(own), own)
  })

  test('SAND-1: its workspace and its result are as anywhere', async (t) => {
    const folder = await temporaryFolder(t)
    writeFileSync(join(folder, 'given'), 'given')
    const workspaceOut = join(folder, 'out')
    const result = await shell('cat given; echo made > made; exit 3', { workspace: folder, workspaceOut })
    assert.deepEqual([result.exitCode, result.stdoutTail], [3, 'given'])
  })

  test('SAND-1: one that waits is taken by a command of the same image only', async () => {
    const spec = {
      id: testId(),
      command: ['/bin/sh', '-c', 'cat /etc/os-release'] as const,
      env: {},
      limits: testLimits,
    }
    assert.ok(image)
    await driver.ahead?.add({ ...spec, image })
    const waiting = sandbox.waiting()
    const plain = await driver.run({ ...spec, id: testId() }, {})
    assert.doesNotMatch(plain.stdoutTail, /prepared/)
    assert.equal(sandbox.waiting(), waiting)
    const other = await driver.run({ ...spec, image }, {})
    assert.match(other.stdoutTail, /prepared/)
    assert.equal(sandbox.waiting(), 0)
    await driver.ahead?.close()
  })

  test('SAND-1: what starts no command is no image', async () => {
    const archive = join(stateDir, 'empty.tar')
    writeFileSync(archive, tar([{ path: 'etc/os-release', content: 'NAME=empty\n' }]))
    await assert.rejects(
      images.add({ name: 'empty', archive, by }),
      (error: { code?: string; detail?: string }) => {
        assert.equal(error.code, 'image.invalid')
        assert.match(error.detail ?? '', /needs \/bin\/sh/)
        return true
      },
    )
  })
})

describe('an image with Podman', async () => {
  const settings = join(stateDir, 'containers.conf')
  writeFileSync(settings, findProgram('runc') ? '[engine]\nruntime = "runc"\n' : '')
  const podman = createSandboxDriver({
    ...needs,
    kind: 'podman',
    stateDir: join(stateDir, 'podman'),
    env: { ...process.env, CONTAINERS_CONF: settings },
  })
  const found = image ? await podman.prepare() : { ready: false, reasons: ['there is no image'] }

  test('SAND-1: a command finds its files', {
    skip: found.ready ? false : found.reasons?.join(' '),
  }, async () => {
    const script = 'cat /etc/os-release; touch /usr/x /etc/x; ls /usr/bin; cat /etc/passwd'
    const { stdoutTail, stderrTail } = await attacker(within(podman)).shell(script)
    assert.match(stdoutTail, /^NAME=prepared\n/)
    assert.doesNotMatch(stdoutTail, /perl|\/root:\/bin\/sh/)
    assert.equal(stderrTail.match(/Read-only file system/g)?.length, 2)
  })
})
