// Attacks on what the machine has to give: each fails at its limit, and succeeds where that one limit is raised.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../src/core/index.ts'
import { createBubblewrapDriver, findProgram, type SandboxLimits } from '../../src/sandbox/index.ts'
import { eventually } from '../support/eventually.ts'
import { attacker, processesWith, temporaryFolder } from '../support/sandbox/attacker.ts'

const later: (() => unknown)[] = []
const stateDir = await temporaryFolder({ after: (clean) => void later.push(clean as () => unknown) })
const driver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir: join(stateDir, 'sandbox'),
  nodePath: process.execPath,
})
const state = await driver.prepare()
const { shell } = attacker(driver)
after(async () => {
  for (const clean of later) await clean()
})
const skip = state.ready ? false : `this machine gives no namespaces: ${state.reasons.join(' ')}`
const notRoot = state.ready && state.mode === 'root' ? false : 'only root can leave a sandbox unguarded'

const megabyte = 1024 ** 2
type Bomb = {
  script: string
  tight: Partial<SandboxLimits>
  wide: Partial<SandboxLimits>
  /** What the result names; not all that ends a command can be told from outside. */
  named: string | null
}
const bombs: Record<string, Bomb> = {
  'start processes without end (fork bomb)': {
    script: 'i=0; while [ $i -lt 120 ]; do sleep 20 & i=$((i+1)); done; kill $(jobs -p); exit 0',
    tight: { processes: 20 },
    wide: { processes: 300 },
    named: state.ready && state.controllers.includes('pids') ? 'processes' : null,
  },
  'take all memory': {
    script: 'perl -e \'$x = "x" x 300_000_000\'',
    tight: { memoryBytes: 100 * megabyte },
    wide: { memoryBytes: 700 * megabyte },
    named: state.ready && state.controllers.includes('memory') ? 'memory' : null,
  },
  'fill the disk with bytes': {
    script: 'head -c 20000000 /dev/zero > /tmp/a && head -c 20000000 /dev/zero > /dev/shm/b',
    tight: { diskBytes: 30_000_000 },
    wide: { diskBytes: 60_000_000 },
    named: 'disk',
  },
  'fill the disk with files that hold nothing': {
    script: 'perl -e \'for (1 .. 6000) { open(my $f, ">", "/tmp/$_") or exit 1 }\'',
    tight: { diskBytes: 8_000_000 },
    wide: { diskBytes: 64_000_000 },
    named: 'disk',
  },
  'write one file without end': {
    script: 'head -c 3000000 /dev/zero > x',
    tight: { fileBytes: 1_000_000 },
    wide: { fileBytes: 4_000_000 },
    named: 'disk',
  },
  'compute without end': {
    script: "perl -e 'my ($u, $s); do { ($u, $s) = times } while $u + $s < 2'",
    tight: { cpuSeconds: 1 },
    wide: { cpuSeconds: 60 },
    named: 'cpu',
  },
  'print without end': {
    script: 'head -c 2000000 /dev/zero',
    tight: { outputBytes: 100_000 },
    wide: { outputBytes: 3_000_000 },
    named: 'output',
  },
  'open files without end': {
    script: 'perl -e \'for (1 .. 300) { open(my $f, "<", "/dev/null") or exit 1; push @f, $f }\'',
    tight: { openFiles: 128 },
    wide: { openFiles: 512 },
    named: null,
  },
}

describe('attacks on what the machine has to give', { skip }, () => {
  for (const [name, { script, tight, wide, named }] of Object.entries(bombs))
    test(`SAND-2: what ends at its limit, and not where that is raised: ${name}`, async () => {
      const [held, open] = await Promise.all([
        shell(script, { limits: tight }),
        shell(script, { limits: { processes: 300, ...wide } }),
      ])
      assert.notEqual(held.exitCode, 0)
      if (named !== null) assert.equal(held.limit, named)
      assert.deepEqual([open.exitCode, open.limit], [0, null], open.stderrTail)
    })

  const escaping = (mark: string): string =>
    `(setsid sh -c 'trap "" TERM HUP; setsid sleep ${mark} >/dev/null 2>&1 &' &); echo on; sleep 600`

  test('SAND-2: what fails in a sandbox: outlive the wall time by leaving its group and session', async () => {
    const mark = `${8_000_000 + process.pid}`
    const result = await shell(escaping(mark), { limits: { wallSeconds: 2 } })
    assert.equal(result.limit, 'wall')
    assert.deepEqual(await processesWith(mark), [])
  })

  test('SAND-2: what gets through without the process namespace: outlive the wall time by leaving its group and session', async () => {
    const mark = `${9_000_000 + process.pid}`
    const child = spawn('sh', ['-c', escaping(mark)], { detached: true, stdio: 'ignore' })
    const gone = once(child, 'exit')
    await eventually(async () => (await processesWith(mark)).length > 0, 'the one that detaches')
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await gone
    const survivors = await processesWith(mark)
    for (const pid of survivors) process.kill(Number(pid), 'SIGKILL')
    assert.equal(survivors.length, 1)
  })
})

describe('attacks on what comes back', { skip }, () => {
  test('SAND-2: what fails in a sandbox: swap a folder for a link while it is copied out', async (t) => {
    const { workspaceOut, secret } = await outside(t)
    // The swapping goes on behind the command's back, and would go on while its files are packed.
    const swap = `perl -e 'while (1) { rename "d", "e"; symlink "${secret}", "d"; unlink "d"; rename "e", "d" }'`
    const result = await shell(`mkdir d; echo own > d/own; ${swap} & sleep 1`, { workspaceOut })
    assert.equal(result.exitCode, 0, result.stderrTail)
    const names = await readdir(workspaceOut, { recursive: true })
    for (const name of names.filter((one) => one.endsWith('own')))
      assert.equal(await readFile(join(workspaceOut, name), 'utf8'), 'own\n')
    assert.ok(!names.some((name) => name.includes('host-file')), names.join())
  })

  test('SAND-2: what fails in a sandbox: write beside the folder that takes the result', async (t) => {
    const { workspaceOut, secret } = await outside(t)
    const names = ['../../planted', 'a/../../planted', '/planted', 'a//b', '..', 'link/planted']
    const script = `ln -s ${secret} link; perl -e 'mkdir "a"; for (@ARGV) { open(my $f, ">", $_) and print $f "x" }' ${names.join(' ')}`
    await shell(script, { workspaceOut })
    assert.deepEqual((await readdir(secret)).sort(), ['host-file'])
    assert.deepEqual((await readdir(join(workspaceOut, '..'))).sort(), ['out', 'secret'])
  })
})

async function outside(t: TestContext): Promise<{ workspaceOut: string; secret: string }> {
  const folder = await temporaryFolder(t)
  const secret = join(folder, 'secret')
  await mkdir(secret)
  await writeFile(join(secret, 'host-file'), 'of the host')
  return { workspaceOut: join(folder, 'out'), secret }
}

describe('setuid programs', { skip: notRoot }, () => {
  /** `id`, which says who runs it, owned by root and setuid. */
  async function setuidProgram(t: TestContext): Promise<string> {
    const folder = await temporaryFolder(t)
    const file = join(folder, 'id')
    copyFileSync(findProgram('id') ?? '', file)
    await chmod(folder, 0o755)
    await chmod(file, 0o4755)
    return file
  }
  const user = '1900000001'

  test('SAND-2: what fails in a sandbox: become root by a setuid program', async (t) => {
    const file = await setuidProgram(t)
    const result = await shell(`${file} -u; su -c 'id -u' root; passwd -d root`, { readOnly: [file] })
    assert.doesNotMatch(result.stdoutTail, /^0$/m)
    assert.match(result.stdoutTail, /^\d{10}$/m)
  })

  test('SAND-2: what gets through without the ban of new privileges: become root by a setuid program', async (t) => {
    const file = await setuidProgram(t)
    const as = (...more: string[]): string => {
      const become = ['--reuid', user, '--regid', user, '--clear-groups', ...more, '--', file, '-u']
      return spawnSync(findProgram('setpriv') ?? '', become, { encoding: 'utf8' }).stdout.trim()
    }
    const banned = as('--no-new-privs')
    if (as() !== '0') return t.skip('temporary files of this machine lie on a mount without setuid')
    assert.equal(banned, user)
  })
})
