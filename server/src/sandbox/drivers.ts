import { join } from 'node:path'
import { AppError, type Clock } from '../core/index.ts'
import { createBubblewrapDriver } from './bubblewrap.ts'
import { createEngineDriver } from './engine.ts'
import type { EngineName } from './engine-client.ts'
import { findProgram } from './install.ts'
import { createKubernetesDriver } from './kubernetes.ts'
import type { DriverState, SandboxDriver } from './sandbox.ts'

/** What `KEYWARD_SANDBOX` may say. `auto` takes the first that works of bubblewrap, Podman and Docker. */
export const sandboxKinds = ['auto', 'bubblewrap', 'podman', 'docker', 'gvisor', 'kubernetes'] as const
export type SandboxKind = (typeof sandboxKinds)[number]

/** Throws when the setting names no driver: a server that isolates otherwise than its owner meant must not start. */
export function sandboxKindOf(setting: string | undefined): SandboxKind {
  if (setting === undefined || setting === '') return 'auto'
  const kind = sandboxKinds.find((known) => known === setting)
  if (kind) return kind
  throw new AppError(
    'sandbox.driver_unknown',
    `KEYWARD_SANDBOX is "${setting}". It may be ${sandboxKinds.join(', ')}. The server was not started.`,
  )
}

/** How many may wait when the server says nothing. */
const usualPool = 2
const largestPool = 32

/** What `KEYWARD_SANDBOX_POOL` may say. Throws when it is not a number of sandboxes. */
export function sandboxPoolOf(setting: string | undefined): number {
  if (setting === undefined || setting === '') return usualPool
  const most = Number(setting)
  if (/^\d+$/.test(setting) && most <= largestPool) return most
  throw new AppError(
    'sandbox.pool_invalid',
    `KEYWARD_SANDBOX_POOL is "${setting}". It may be a number from 0 to ${largestPool}. The server was not started.`,
  )
}

/** What the environment of a server says. */
export const sandboxSettingsOf = (env: Readonly<Record<string, string | undefined>>) => ({
  kind: sandboxKindOf(env['KEYWARD_SANDBOX']),
  pool: sandboxPoolOf(env['KEYWARD_SANDBOX_POOL']),
})

type Needs = {
  kind: SandboxKind
  clock: Clock
  /** In [0, 1): chooses the user id of each sandbox. */
  random: () => number
  stateDir: string
  nodePath: string
  /** How many sandboxes may wait for a task, with a driver that starts some ahead; none when absent. */
  pool?: number
  /** The server's environment: engines find their socket by it. */
  env: Readonly<Record<string, string | undefined>>
}

export function createSandboxDriver(needs: Needs): SandboxDriver {
  const { kind, stateDir } = needs
  const engine = (name: EngineName) =>
    createEngineDriver({ ...needs, engine: name, stateDir: join(stateDir, name) })
  if (kind === 'bubblewrap') return createBubblewrapDriver(needs)
  if (kind === 'podman' || kind === 'docker') return engine(kind)
  if (kind === 'kubernetes')
    return createKubernetesDriver({ ...needs, stateDir: join(stateDir, 'kubernetes') })
  if (kind === 'gvisor') return firstOf('gvisor', [gvisor(needs, 'podman'), gvisor(needs, 'docker')])
  return firstOf('auto', [createBubblewrapDriver(needs), engine('podman'), engine('docker')])
}

/** Podman is told where it is and how to run it; Docker's administrator has told the engine. */
function gvisor(needs: Needs, engine: EngineName): SandboxDriver {
  const program = engine === 'podman' ? findProgram('runsc', needs.env['PATH']) : undefined
  // Without network of its own; a socket that is mounted may be opened.
  const flags = ['network=none', 'host-uds=open']
  const runtime = { name: program ?? 'runsc', flags, ownKernel: true }
  return createEngineDriver({ ...needs, engine, runtime, stateDir: join(needs.stateDir, `gvisor-${engine}`) })
}

/** The first driver that is ready; none is decided upon before one is. */
export function firstOf(name: string, drivers: readonly SandboxDriver[]): SandboxDriver {
  let chosen: SandboxDriver | undefined

  async function choose(): Promise<DriverState> {
    if (chosen) return chosen.prepare()
    const reasons: string[] = []
    for (const driver of drivers) {
      const state = await driver.prepare()
      if (state.ready) {
        chosen = driver
        return state
      }
      reasons.push(...state.reasons)
    }
    return { ready: false, reasons }
  }

  return {
    get name() {
      return chosen?.name ?? name
    },
    prepare: choose,
    async run(spec, watch) {
      const state = await choose()
      if (!state.ready || !chosen) throw new AppError('sandbox.unavailable', 'No sandbox driver works here.')
      return chosen.run(spec, watch)
    },
    get ahead() {
      return chosen?.ahead
    },
    async sweep() {
      let swept = 0
      for (const driver of drivers) swept += await driver.sweep()
      return swept
    },
  }
}
