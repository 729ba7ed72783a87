// The same load from the inside of a sandbox, where the bridge to the proxy's socket is part of the way.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../server/src/core/index.ts'
import { createBubblewrapDriver } from '../../server/src/sandbox/index.ts'
import { type Answered, type Load, loadProgram, type Way } from './egress-load.ts'
import type { Workbench } from './servers.ts'

const repository = join(import.meta.dirname, '..', '..')
const MiB = 1024 * 1024
const limits = {
  wallSeconds: 300,
  cpuSeconds: 300,
  memoryBytes: 512 * MiB,
  processes: 100,
  openFiles: 1000,
  fileBytes: 10 * MiB,
  diskBytes: 10 * MiB,
  outputBytes: MiB,
}

export type Inside = (load: Load, egress: { socketPath: string; caPem: string }) => Promise<Answered>

/** Undefined where no sandbox can be started. */
export async function openInside({ folder }: Workbench): Promise<Inside | undefined> {
  const driver = createBubblewrapDriver({
    clock: systemClock,
    random: Math.random,
    stateDir: join(folder, 'sandboxes'),
    nodePath: process.execPath,
  })
  if (!(await driver.prepare()).ready) return undefined
  let started = 0
  return async (load, egress) => {
    const id = `bench-${started++}`
    const workspace = join(folder, id)
    mkdirSync(workspace)
    const way: Way = { ...load.way, at: { port: 3128 }, isProxy: true }
    writeFileSync(join(workspace, 'load.json'), JSON.stringify({ ...load, way }))
    const output: Buffer[] = []
    const { exitCode } = await driver.run(
      {
        id,
        workspace,
        egress,
        limits,
        env: {},
        command: [process.execPath, loadProgram, '/workspace/load.json'],
        readOnly: [repository],
      },
      { onOutput: (_stream, chunk) => void output.push(chunk) },
    )
    const said = Buffer.concat(output).toString()
    if (exitCode !== 0) throw new Error(`the load in the sandbox failed: ${said}`)
    return JSON.parse(said) as Answered
  }
}
