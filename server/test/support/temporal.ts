import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { cleanUp } from './clean-up.ts'
import { eventually } from './eventually.ts'
import { goProgramOrSkip } from './go.ts'
import { memoryFolder } from './memory-folder.ts'

export type TemporalServer = {
  /** `host:port`, the same after it was started again. */
  readonly address: string
  readonly namespace: string
  /** All that it keeps is in files that begin so. */
  readonly database: string
  kill(): Promise<void>
  start(): Promise<void>
}

/** A Temporal of the test's own, on a file of its own; undefined, and the test skipped, where there is no Go to build it. */
export async function startTemporal(t: TestContext): Promise<TemporalServer | undefined> {
  const program = await goProgramOrSkip(t, 'temporal-server')
  if (!program) return undefined
  const temporal = await openTemporal(program, join(memoryFolder(t), 'temporal.db'))
  cleanUp(t, temporal.kill)
  return temporal
}

/** Runs the program of `temporal-server` on a free port, over this file. */
export async function openTemporal(program: string, database: string): Promise<TemporalServer> {
  const namespace = 'keyward-test'
  let child: ChildProcess | undefined
  let address = ''

  async function started(port: string): Promise<boolean> {
    const server = spawn(program, [database, namespace, port], { stdio: ['pipe', 'pipe', 'ignore'] })
    child = server
    for await (const line of createInterface(server.stdout)) {
      if (!line.startsWith('ready ')) continue
      address = line.slice('ready '.length)
      return true
    }
    return false
  }
  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child?.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  await eventually(() => started('0'), 'free ports for Temporal').catch(async (error) => {
    await kill()
    throw error
  })
  return {
    address,
    namespace,
    database,
    kill,
    start: () =>
      eventually(() => started(address.split(':')[1] ?? ''), 'its port to be free again').then(
        () => undefined,
      ),
  }
}
