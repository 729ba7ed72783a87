// Attacks from inside a real sandbox of this machine, and each of them once more without the guards that stop it.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../src/core/index.ts'
import { createBubblewrapDriver, findProgram, type SandboxDriver } from '../../src/sandbox/index.ts'
import { mayBeMissing } from '../support/needed.ts'
import { temporaryFolder, testId, testLimits } from '../support/sandbox/attacker.ts'
import { type Bait, gotThrough, type SandboxAttack, sandboxAttacks, scriptOf } from './sandbox-attacks.ts'
import { type Guard, guards, sandboxWithout } from './sandbox-without.ts'

const later: (() => unknown)[] = []
const cleaned: Pick<TestContext, 'after'> = { after: (clean) => void later.push(clean as () => unknown) }
after(async () => {
  for (const clean of later) await clean()
})

const stateDir = await temporaryFolder(cleaned)
const driver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir: join(stateDir, 'sandbox'),
  nodePath: process.execPath,
})
const state = await driver.prepare()
const skip = !state.ready
  ? `this machine gives no namespaces: ${state.reasons.join(' ')}`
  : findProgram('perl', '/usr/bin')
    ? false
    : mayBeMissing('perl makes the calls and is not installed')
const isAsRoot = state.ready && state.mode === 'root'

const bait = skip === false ? await layBait() : undefined

/** Things of the host that stand open to every user of it. */
async function layBait(): Promise<Bait> {
  const folder = await temporaryFolder(cleaned)
  await chmod(folder, 0o755)
  const FILE = join(folder, 'file')
  await writeFile(FILE, 'bait', { mode: 0o644 })
  const SOCKET = join(folder, 'socket')
  const ABSTRACT = `keyward-bait-${process.pid}`
  const places = [
    { path: SOCKET, writableAll: true },
    { path: `\0${ABSTRACT}` },
    { host: '127.0.0.1', port: 0 },
  ]
  let PORT = ''
  for (const place of places) {
    const server = net.createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(place, resolve))
    const address = server.address()
    if (typeof address === 'object' && address) PORT = String(address.port)
    later.push(() => server.close())
  }
  const SHM = String(0x4b00_0000 + process.pid)
  const made = spawnSync('perl', ['-e', `exit !defined shmget(${SHM}, 4096, 0666 | 01000)`])
  assert.equal(made.status, 0, String(made.stderr))
  later.push(() => spawnSync('perl', ['-e', `shmctl(shmget(${SHM}, 0, 0), 0, 0)`]))
  const sleeper = spawn('sleep', ['600'], { env: { KEYWARD_BAIT: 'yes' }, stdio: 'ignore' })
  later.push(() => sleeper.kill())
  return { FILE, SOCKET, ABSTRACT, PORT, SHM, HOST_PID: String(sleeper.pid) }
}

/** Names of the attacks that get through in one sandbox. */
async function tryAll(
  { run }: Pick<SandboxDriver, 'run'>,
  attacks: readonly SandboxAttack[],
): Promise<string[]> {
  const command = ['/bin/sh', '-c', scriptOf(attacks)] as const
  const limits = { ...testLimits, processes: 200 }
  const result = await run({ id: testId(), command, env: { ...bait }, limits }, {})
  assert.equal(result.exitCode, 0, result.stderrTail)
  return gotThrough(attacks, result.stdoutTail)
}

// Everything is tried before the first test is declared: the folders go when the last one that is known has ended.
const guarded = skip === false ? await tryAll(driver, sandboxAttacks) : []

/** By the guards that they need, so that one sandbox without those serves them all. */
function byGuards(): [readonly Guard[], SandboxAttack[]][] {
  const groups = Object.groupBy(sandboxAttacks, ({ guards }) => guards.join(' '))
  return Object.values(groups).flatMap((attacks = []) => {
    const [first] = attacks
    return first && first.guards.length > 0 ? [[first.guards, attacks]] : []
  })
}

const unguarded = isAsRoot ? false : 'only root has a user to spare whose sandbox may be left unguarded'
const unguardedSkip = skip || unguarded
const open = new Set<SandboxAttack>()
if (unguardedSkip === false)
  for (const [without, attacks] of byGuards()) {
    const names = await tryAll(await sandboxWithout(cleaned, without), attacks)
    for (const attack of attacks) if (names.includes(attack.name)) open.add(attack)
  }

describe('attacks from inside a sandbox', { skip }, () => {
  for (const { name } of sandboxAttacks)
    test(`SAND-2: what fails in a sandbox: ${name}`, () => assert.ok(!guarded.includes(name)))
})

describe('the same attacks, unguarded', { skip: unguardedSkip }, () => {
  for (const [without, attacks] of byGuards()) {
    const words = without.map((guard) => guards[guard]).join(' and ')
    for (const attack of attacks)
      test(`SAND-2: what gets through without ${words}: ${attack.name}`, (t) => {
        if (attack.dependsOnKernel && !open.has(attack)) t.skip('this machine refuses it by itself')
        else assert.ok(open.has(attack))
      })
  }
})
