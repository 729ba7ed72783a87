import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { SandboxDriver, SandboxLimits, SandboxResult, SandboxSpec } from '../../../src/sandbox/index.ts'

// What the sandbox tests of every driver share: a folder, limits, and a way to run one attack.

const megabyte = 1024 ** 2

export const testLimits: SandboxLimits = {
  wallSeconds: 240,
  cpuSeconds: 20,
  memoryBytes: 512 * megabyte,
  processes: 64,
  openFiles: 256,
  fileBytes: 64 * megabyte,
  diskBytes: 64 * megabyte,
  outputBytes: megabyte,
}

/** A driver under test, and what it said of this machine. */
export type Subject = {
  driver: SandboxDriver
  /** Why nothing can be tried here; false when it can. */
  skip: string | false
  /** Whether control groups bound memory and processes. */
  bounded: boolean
  /** False where the image says what accounts there are. */
  named?: false
  /** A host folder that the driver was told about: a place to plant canaries in. */
  stateDir: string
}

let runs = 0
/** Unlike any other on this machine, so that suites can run side by side. */
export const testId = (): string => `test-${process.pid}-${++runs}`

export async function temporaryFolder(t: Pick<TestContext, 'after'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyward-sandbox-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export type Attack = Omit<Partial<SandboxSpec>, 'limits'> & { limits?: Partial<SandboxLimits> }

export function attacker(driver: SandboxDriver) {
  const run = (command: readonly [string, ...string[]], attack: Attack = {}): Promise<SandboxResult> =>
    driver.run({ id: testId(), env: {}, ...attack, command, limits: { ...testLimits, ...attack.limits } }, {})
  return {
    run,
    shell: (script: string, attack?: Attack) => run(['/bin/sh', '-c', script], attack),
    node: (script: string, attack?: Attack) => run(['node', '-e', script], attack),
    /** Makes one raw system call with numbers; resolves to the errno that it got, 0 when it was let through. */
    async call(number: number, ...values: number[]): Promise<number> {
      const words = [number, ...values].join(', ')
      const script = `my $r = syscall(${words}); print $r < 0 ? $! + 0 : 0`
      const result = await run(['perl', '-e', script])
      assert.equal(result.exitCode, 0, result.stderrTail)
      return Number(result.stdoutTail)
    },
  }
}

/** Processes of this machine that have `word` among their arguments. */
export async function processesWith(word: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line.split('\0').includes(word)) found.push(name)
  }
  return found
}
