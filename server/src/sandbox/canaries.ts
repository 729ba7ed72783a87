import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import type { SandboxDriver, SandboxLimits } from './sandbox.ts'

// Small attacks on a real sandbox, tried once before anything is trusted to it. Each answers `held` only when it ran and failed.

export type Verdicts = Record<string, 'held' | 'escaped'>

const megabyte = 1024 ** 2
const limits: SandboxLimits = {
  wallSeconds: 20,
  cpuSeconds: 10,
  memoryBytes: 64 * megabyte,
  processes: 16,
  openFiles: 256,
  fileBytes: 16 * megabyte,
  diskBytes: 16 * megabyte,
  outputBytes: 64 * 1024,
}

/** Tries to read, write and reach what it must not; prints one verdict each. */
const readingScript = `
const fs = require('node:fs')
const net = require('node:net')
const verdicts = {}
const attempt = (name, act) => {
  try { verdicts[name] = act() ? 'escaped' : 'held' } catch { verdicts[name] = 'held' }
}
attempt('shadow file', () => fs.readFileSync('/etc/shadow'))
attempt('data folder', () => fs.readFileSync(process.env.CANARY_FILE))
attempt('other processes', () => fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length > 8)
attempt('system files', () => { fs.writeFileSync('/usr/keyward-canary', ''); return true })
attempt('privileges', () => !/^CapEff:\\t0+$/m.test(fs.readFileSync('/proc/self/status', 'utf8')))
const socket = net.connect(Number(process.env.CANARY_PORT), '127.0.0.1')
const settle = (verdict) => {
  verdicts.network = verdict
  console.log(JSON.stringify(verdicts))
  process.exit(0)
}
socket.on('connect', () => settle('escaped'))
socket.on('error', () => settle('held'))
setTimeout(() => settle('held'), 3000)
`

/** Counts how many of 200 processes it can keep alive at once. */
const forkingScript = 'i=0; while [ $i -lt 200 ]; do sleep 3 & i=$((i+1)); done; echo forked'

const verdict = z.enum(['held', 'escaped'])
const names = [
  'shadow file',
  'data folder',
  'other processes',
  'system files',
  'privileges',
  'network',
] as const
const readingVerdicts = z.record(z.enum(names), verdict)

export async function runCanaries(driver: SandboxDriver, dataDir: string): Promise<Verdicts> {
  const [reading, forking, hogging] = await Promise.all([
    readingCanaries(driver, dataDir),
    driver.run({ id: newCanaryId(), command: ['/bin/sh', '-c', forkingScript], env: {}, limits }, {}),
    driver.run(
      {
        id: newCanaryId(),
        command: ['/bin/sh', '-c', 'head -c 2000000000 /dev/zero | tail'],
        env: {},
        limits,
      },
      {},
    ),
  ])
  return {
    ...reading,
    'fork bomb': forking.exitCode === 0 && forking.stderrTail === '' ? 'escaped' : 'held',
    'memory hog': hogging.exitCode === 0 ? 'escaped' : 'held',
  }
}

const newCanaryId = (): string => `canary-${randomBytes(6).toString('hex')}`

async function readingCanaries(driver: SandboxDriver, dataDir: string): Promise<Verdicts> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const file = join(dataDir, newCanaryId())
  // Readable to all, so that only the missing mount can hold it back.
  await writeFile(file, 'canary', { mode: 0o644 })
  const server = createServer((socket) => socket.destroy())
  try {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const env = { CANARY_FILE: file, CANARY_PORT: String(port) }
    const command = ['node', '-e', readingScript] as const
    const roomy = { ...limits, memoryBytes: 512 * megabyte, processes: 64 }
    const result = await driver.run({ id: newCanaryId(), command, env, limits: roomy }, {})
    return verdictsOf(result.stdoutTail)
  } finally {
    server.close()
    await rm(file, { force: true })
  }
}

/** A canary that did not report has not shown that the sandbox holds. */
function verdictsOf(output: string): Verdicts {
  let parsed: unknown
  try {
    parsed = JSON.parse(output)
  } catch {
    parsed = undefined
  }
  const checked = readingVerdicts.safeParse(parsed)
  return checked.success ? checked.data : { 'canary report': 'escaped' }
}
