// What attacks from inside a sandbox reach for on the host, and how they are all tried in one sandbox.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { SandboxDriver, SandboxSpec } from '../../src/sandbox/index.ts'
import { temporaryFolder, testId, testLimits } from '../support/sandbox/attacker.ts'
import { type Bait, gotThrough, type SandboxAttack, scriptOf } from './sandbox-attacks.ts'

type Cleaned = Pick<TestContext, 'after'>

/** Things of the host that stand open to every user of it. Needs perl. */
export async function layBait(t: Cleaned): Promise<Bait> {
  const folder = await temporaryFolder(t)
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
    t.after(() => void server.close())
  }
  const SHM = String(0x4b00_0000 + process.pid)
  const made = spawnSync('perl', ['-e', `exit !defined shmget(${SHM}, 4096, 0666 | 01000)`])
  assert.equal(made.status, 0, String(made.stderr))
  t.after(() => void spawnSync('perl', ['-e', `shmctl(shmget(${SHM}, 0, 0), 0, 0)`]))
  const sleeper = spawn('sleep', ['600'], { env: { KEYWARD_BAIT: 'yes' }, stdio: 'ignore' })
  t.after(() => void sleeper.kill())
  return { FILE, SOCKET, ABSTRACT, PORT, SHM, HOST_PID: String(sleeper.pid) }
}

/** Names of the attacks that get through in one sandbox. */
export async function tryAll(
  { run }: Pick<SandboxDriver, 'run'>,
  attacks: readonly SandboxAttack[],
  bait: Bait,
  image?: SandboxSpec['image'],
): Promise<string[]> {
  const command = ['/bin/sh', '-c', scriptOf(attacks)] as const
  const limits = { ...testLimits, processes: 200 }
  const spec = { id: testId(), command, env: { ...bait }, limits, ...(image ? { image } : {}) }
  const result = await run(spec, {})
  assert.equal(result.exitCode, 0, result.stderrTail)
  return gotThrough(attacks, result.stdoutTail)
}
