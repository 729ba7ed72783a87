/**
 * How long a sandbox takes around a command that does nothing: until the command's first word, and until nothing of it is left. One
 * is started for the command, one waits for it already.
 * Beside it bubblewrap alone with the same namespaces and mounts, the same with Node in it (what Keyward's guest is written
 * in), and containers of Podman and Docker where those are installed. One after the other, in turn, so that all meet the same load.
 *
 *   node bench/sandbox.ts [rounds]   (Node 24, Linux, bubblewrap)
 *
 * `image` of the containers is busybox, from their own store: `podman pull busybox` before.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../server/src/core/index.ts'
import { createBubblewrapDriver, findProgram, type SandboxSpec } from '../server/src/sandbox/index.ts'
import { circumstances, median, print, rounded } from './support/figures.ts'

const rounds = Number(process.argv[2] ?? 30)
const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
const megabyte = 1024 ** 2
const limits = {
  wallSeconds: 60,
  cpuSeconds: 30,
  memoryBytes: 512 * megabyte,
  processes: 64,
  openFiles: 256,
  fileBytes: 64 * megabyte,
  diskBytes: 128 * megabyte,
  outputBytes: megabyte,
}

/** Milliseconds to the first byte that it prints, and to its end. */
type Taken = { first: number; end: number }
type Contender = { name: string; once(): Promise<Taken> }

function program(words: readonly string[]): Promise<Taken> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const since = (): number => performance.now() - began
    let first = 0
    const [name = '', ...rest] = words
    const child = spawn(name, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.once('data', () => {
      first = since()
    })
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve({ first, end: since() }) : reject(new Error(`${name} ended with ${code}`)),
    )
  })
}

const system = ['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => {
  const path = `/${name}`
  if (!existsSync(path)) return []
  return lstatSync(path).isSymbolicLink()
    ? ['--symlink', readlinkSync(path), path]
    : ['--ro-bind', path, path]
})
const bubblewrap = [
  ...[findProgram('bwrap') ?? 'bwrap', '--unshare-all', '--die-with-parent', '--new-session', '--clearenv'],
  ...['--ro-bind', '/usr', '/usr', ...system, '--ro-bind', process.execPath, '/opt/node'],
  ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/run', '--tmpfs', '/workspace'],
  ...['--remount-ro', '/', '--cap-drop', 'ALL', '--'],
]

const driver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir: folder,
  nodePath: process.execPath,
  pool: 1,
})

let runs = 0
async function keyward(waits: boolean): Promise<Taken> {
  const id = `bench-${process.pid}-${++runs}`
  const spec: SandboxSpec = { id, command: ['/bin/echo', 'on'], env: {}, limits }
  if (waits) await driver.ahead?.add(spec)
  if ((driver.ahead?.waiting() ?? 0) !== Number(waits)) throw new Error('another number of sandboxes waits')
  const began = performance.now()
  let first = 0
  const result = await driver.run(spec, {
    onOutput: () => {
      first = performance.now() - began
    },
  })
  if (result.exitCode !== 0)
    throw new Error(`the sandbox ended with ${result.exitCode}: ${result.stderrTail}`)
  return { first, end: performance.now() - began }
}

const container = (engine: string): readonly string[] => {
  const ready = findProgram(engine) && spawnSync(engine, ['image', 'inspect', 'busybox']).status === 0
  return ready ? [engine, 'run', '--rm', '--network', 'none', 'busybox', 'echo', 'on'] : []
}

const contenders: Contender[] = [
  { name: 'keyward', once: () => keyward(false) },
  { name: 'keyward, waiting', once: () => keyward(true) },
  { name: 'bubblewrap', once: () => program([...bubblewrap, '/bin/echo', 'on']) },
  { name: 'bubblewrap and Node', once: () => program([...bubblewrap, '/opt/node', '-p', '1']) },
  ...['podman', 'docker'].flatMap((name) => {
    const words = container(name)
    return words.length > 0 ? [{ name, once: () => program(words) }] : []
  }),
]

try {
  const state = await driver.prepare()
  if (!state.ready) throw new Error(state.reasons.join(' '))
  const taken = new Map<string, Taken[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++)
    for (const { name, once } of contenders) {
      const one = await once()
      // The first round is for caches.
      if (round > 0) taken.get(name)?.push(one)
    }
  const middle = (all: readonly Taken[], of: keyof Taken): number =>
    rounded(median(all.map((one) => one[of])))
  print({
    ...circumstances(),
    rounds,
    mode: state.mode,
    controllers: state.controllers.length > 0 ? state.controllers : 'none',
    milliseconds: Object.fromEntries(
      [...taken].map(([name, all]) => [name, { first: middle(all, 'first'), end: middle(all, 'end') }]),
    ),
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
