import { realpathSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import {
  AppError,
  type Clock,
  type FileTree,
  isPortable,
  type Log,
  reasonOf,
  type TreeTaker,
} from '../core/index.ts'
import { isOwnPath } from '../store/index.ts'
import { runCanaries } from './canaries.ts'
import type { OutputFilter, OutputTaker } from './output.ts'
import type { SandboxImage } from './root-files.ts'
import { createRunning, type RunningSandbox } from './running.ts'

export type SandboxLimits = {
  wallSeconds: number
  /** Processor time: of each process, and of all together where control groups are writable. */
  cpuSeconds: number
  memoryBytes: number
  processes: number
  openFiles: number
  /** The largest single file. */
  fileBytes: number
  /** Everything written: workspace, home and temporary folders together. It is kept in memory. */
  diskBytes: number
  /** Standard output and standard error together. */
  outputBytes: number
}

/** `at`: a port of 127.0.0.1, or the path of a socket below /run. `to`: what the proxy is asked for, `host:port`. */
export type SandboxWay = { readonly at: number | string; readonly to: string }

export type SandboxSpec = {
  /** Letters, digits, `_` and `-`, at most 64. */
  id: string
  command: readonly [string, ...string[]]
  /** The whole environment, besides PATH, HOME and what the proxy needs. Placeholders, never secrets. */
  env: Record<string, string>
  /** A host folder, or files from elsewhere, copied to /workspace. The original is never mounted. */
  workspace?: string | FileTree
  /** Small files of /workspace by their path, in place of those of the same path. No secrets. */
  files?: Readonly<Record<string, string>>
  /** What takes what /workspace holds at the end: an empty or absent host folder, or somebody who keeps it elsewhere. */
  workspaceOut?: string | TreeTaker
  /**
   * Without it there is no network at all. The socket lies alone in a folder: the driver gives that folder to the sandbox's
   * user and mounts it, so that a proxy which starts again is found again.
   */
  egress?: {
    socketPath: string
    caPem: string
    /** Places inside that lead to one destination each. */
    ways?: readonly SandboxWay[]
  }
  /** Small files of the home folder, by their path in it. No secrets. */
  home?: Readonly<Record<string, string>>
  limits: SandboxLimits
  /** Host files and folders, mounted read-only at the same path. */
  readOnly?: readonly string[]
  /** Its files stand in for those of the host. */
  image?: SandboxImage
  /** For whom it runs; drivers do not look at it. */
  owner?: SandboxOwner
}

export type SandboxOwner = { agentId: string; runId: string; taskId: string }

/** What all of a sandbox uses at one moment; null where the driver cannot tell. */
export type SandboxUsage = {
  /** Of processes that have ended, too. */
  cpuSeconds: number | null
  memoryBytes: number | null
  /** Threads count, those of Keyward's own guest among them. */
  processes: number | null
  diskBytes: number | null
}

export type SandboxLimit = 'wall' | 'cpu' | 'memory' | 'processes' | 'disk' | 'output'

export type SandboxResult = {
  exitCode: number | null
  signal: string | null
  durationMs: number
  /** The limit that ended the run, or that it met. */
  limit: SandboxLimit | null
  cancelled: boolean
  stdoutTail: string
  stderrTail: string
  /** Paths below /workspace that were not copied out: links, sockets, devices, names that are not portable. */
  leftBehind: readonly string[]
  /** Why a person ended it; absent when nobody did. */
  endedBecause?: string
}

export type SandboxWatch = {
  /** Stands before everything that is shown or kept of the output; each stream gets one of its own. */
  newFilter?: () => OutputFilter
  onOutput?: OutputTaker
  /** Told again and again while it runs. */
  onUsage?: (usage: SandboxUsage) => void
  signal?: AbortSignal
}

type SandboxDetails = {
  driver: string
  /** How the driver gets its namespaces. */
  mode: string
  /** `own`: no other process of the machine has this user id. `shared`: it is the server's own. */
  userId: 'own' | 'shared'
  /** Which control groups bound it. */
  controllers: readonly string[]
  canaries: Readonly<Record<string, 'held' | 'escaped'>>
}

export type SandboxProbe = {
  level: 'full' | 'no-cgroup' | 'none'
  /** Why it is not more. Each says what to do. */
  reasons: readonly string[]
  details: SandboxDetails | undefined
}

/** What a driver found when it looked at the machine. */
export type DriverState =
  | {
      ready: true
      mode: string
      userId: 'own' | 'shared'
      controllers: readonly string[]
      reasons: readonly string[]
    }
  | { ready: false; reasons: readonly string[] }

/** A way to isolate a process. Every driver passes server/test/support/sandbox/contract.ts. */
export type SandboxDriver = {
  readonly name: string
  prepare(): Promise<DriverState>
  run(spec: SandboxSpec, watch: SandboxWatch): Promise<SandboxResult>
  /** Ends and removes what a killed server left behind; returns how many sandboxes that were. */
  sweep(): Promise<number>
  /** Sandboxes that are started before their task is known, where the driver does that. */
  readonly ahead?: SandboxesAhead | undefined
}

export type SandboxesAhead = {
  /** How many wait. */
  waiting(): number
  /** Starts one that would do for this task. */
  add(spec: SandboxSpec): Promise<void>
  /** Ends those that wait; no more are started. */
  close(): Promise<void>
}

export type Sandbox = {
  /**
   * Measured by attacks that must fail. A level that allows runs is remembered; `none` is measured again the next time, so
   * that installing what is missing needs no restart.
   */
  probe(): Promise<SandboxProbe>
  /** What isolates: a driver's name, or `auto` before one has been found. */
  driver(): string
  run(spec: SandboxSpec, watch?: SandboxWatch): Promise<SandboxResult>
  /** Those that run now, the oldest first. */
  running(): RunningSandbox[]
  /** Ends one that runs now, with every process in it; answers what it was, or undefined when none has this id. */
  end(id: string, reason: string): RunningSandbox | undefined
  /** How many wait, started ahead of their tasks. */
  waiting(): number
  /** Call once at start, before the first run. */
  sweep(): Promise<number>
  /** Ends those that wait. */
  stop(): Promise<void>
}

type Needs = {
  driver: SandboxDriver
  clock: Pick<Clock, 'now'>
  log: Log
  /** The data folder: a canary makes sure that no sandbox sees it. */
  dataDir: string
  /** What another process found on this machine a moment ago; given by tests alone. */
  found?: SandboxProbe | undefined
}

export function createSandbox({ driver, clock, log, dataDir, found: foundBefore }: Needs): Sandbox {
  const running = createRunning(clock)
  let measured = foundBefore && Promise.resolve(foundBefore)

  async function measure(): Promise<SandboxProbe> {
    const state = await driver.prepare()
    if (!state.ready) return { level: 'none', reasons: state.reasons, details: undefined }
    const canaries = await runCanaries(driver, dataDir)
    const escaped = Object.keys(canaries).filter((name) => canaries[name] === 'escaped')
    const { mode, userId, controllers } = state
    const details = { driver: driver.name, mode, userId, controllers, canaries }
    if (escaped.length > 0) {
      const reasons = escaped.map((name) => `The sandbox does not hold: the canary "${name}" got out.`)
      return { level: 'none', reasons, details }
    }
    const bounded = controllers.includes('memory') && controllers.includes('pids')
    return { level: bounded ? 'full' : 'no-cgroup', reasons: state.reasons, details }
  }

  async function probe(): Promise<SandboxProbe> {
    measured ??= measure().catch((error: unknown) => ({
      level: 'none' as const,
      reasons: [`The sandbox could not be tried out: ${reasonOf(error)}`],
      details: undefined,
    }))
    const found = await measured
    if (found.level === 'none') measured = undefined
    return found
  }

  return {
    probe,
    driver: () => driver.name,
    async run(spec, watch = {}) {
      const { level, reasons } = await probe()
      if (level === 'none') throw new AppError('sandbox.unavailable', reasons.join(' '))
      checkSpec(spec, dataDir)
      const result = await running.follow(spec, { driver: driver.name, level }, watch, (...given) =>
        driver.run(...given),
      )
      const { exitCode, signal, limit, durationMs } = result
      const { runId, taskId } = spec.owner ?? {}
      log.info({ runId, taskId, sandboxId: spec.id, exitCode, signal, limit, durationMs }, 'sandbox.finished')
      return result
    },
    running: running.list,
    end: running.end,
    waiting: () => driver.ahead?.waiting() ?? 0,
    sweep: () => driver.sweep(),
    stop: async () => driver.ahead?.close(),
  }
}

const limitNames = [
  'wallSeconds',
  'cpuSeconds',
  'memoryBytes',
  'processes',
  'openFiles',
  'fileBytes',
  'diskBytes',
  'outputBytes',
] as const satisfies (keyof SandboxLimits)[]

function checkSpec(spec: SandboxSpec, dataDir: string): void {
  const refuse = (detail: string): never => {
    throw new AppError('sandbox.failed', `${detail} Nothing was run.`)
  }
  if (!/^[\w-]{1,64}$/.test(spec.id)) refuse('The id of a sandbox is 1 to 64 letters, digits, "_" or "-".')
  for (const name of limitNames) {
    const value = spec.limits[name]
    if (!Number.isSafeInteger(value) || value < 1) refuse(`The limit ${name} is not a whole number above 0.`)
  }
  const words = [...spec.command, ...Object.entries(spec.env).flat(), ...(spec.readOnly ?? [])]
  if (words.some((word) => word.includes('\0')))
    refuse('A NUL byte stands in the command, environment or paths.')
  for (const name of Object.keys(spec.env)) {
    if (!/^[A-Za-z_]\w*$/.test(name)) refuse(`"${name}" is not the name of an environment variable.`)
  }
  if (typeof spec.workspace === 'string') checkWorkspace(spec.workspace, dataDir, refuse)
  const stray = Object.keys(spec.files ?? {}).find((path) => !isPortable(path))
  if (stray !== undefined) refuse(`"${stray}" is not a path in the workspace.`)
  for (const path of spec.readOnly ?? []) checkMount(path, dataDir, refuse)
}

/** The unseal key and the tokens of the server lie in its data folder. */
function checkWorkspace(path: string, dataDir: string, refuse: (detail: string) => never): void {
  const real = realPathOf(path) ?? refuse(`The workspace ${path} cannot be read.`)
  const own = realPathOf(dataDir) ?? dataDir
  if (isOwnPath(own, real) || isWithin(own, real))
    refuse(`The workspace ${path} would show Keyward's data folder.`)
}

/** What the sandbox has of its own: nothing of the host is mounted over it, in it or around it. */
const ownOfMounts = [
  '/proc',
  '/sys',
  '/dev',
  '/run',
  '/etc',
  '/workspace',
  '/writable',
  '/home/agent',
  '/opt/keyward',
]

function checkMount(path: string, dataDir: string, refuse: (detail: string) => never): void {
  if (!isAbsolute(path)) refuse(`The path ${path} to mount is not absolute.`)
  const real = realPathOf(path) ?? refuse(`The path ${path} to mount cannot be read.`)
  const overlap = (one: string, other: string) => isWithin(one, other) || isWithin(other, one)
  if (overlap(real, realPathOf(dataDir) ?? dataDir))
    refuse(`The path ${path} would show Keyward's data folder.`)
  const taken = ownOfMounts.find((place) => overlap(real, place) || overlap(resolve(path), place))
  if (taken) refuse(`The path ${path} cannot be mounted, because ${taken} in the sandbox is its own.`)
}

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
