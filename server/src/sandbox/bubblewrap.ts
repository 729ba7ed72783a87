import { mkdir, readFile } from 'node:fs/promises'
import { AppError, type Clock, reasonOf } from '../core/index.ts'
import { kindOf, startAhead, type Wish, wishOf } from './ahead.ts'
import { broughtAlong } from './bubblewrap-arguments.ts'
import { type CgroupBase, type Controller, findCgroups } from './cgroups.ts'
import { letConnect } from './egress-folder.ts'
import { hasOwnUser, type Mode, modesFor, userIn } from './entry.ts'
import { trialLimits } from './inside.ts'
import { findProgram, installCommand } from './install.ts'
import { createPool } from './pool.ts'
import { createRecords } from './records.ts'
import type { DriverState, SandboxDriver, SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { seccompFilter } from './seccomp.ts'
import { runSession, type Session } from './session.ts'

type Needs = {
  clock: Clock
  /** In [0, 1): chooses the user id of each sandbox. */
  random: () => number
  /** A folder of the driver's own; other users need not see into it. */
  stateDir: string
  /** The Node binary that runs the guest, and that the command finds as `node`. */
  nodePath: string
  /** How many sandboxes may wait for a task. None, when absent. */
  pool?: number
}

type Ready = Omit<Session, 'user'> & { controllers: readonly Controller[]; reasons: readonly string[] }

/** Isolation by Linux namespaces, with bubblewrap to set them up. */
export function createBubblewrapDriver({
  clock,
  random,
  stateDir,
  nodePath,
  pool = 0,
}: Needs): SandboxDriver {
  const records = createRecords(stateDir)
  const ahead = createPool({
    clock,
    most: pool,
    availableBytes: () => process.availableMemory(),
    start: async (wish: Wish) => startAhead(sessionOf(await readyOrThrow()), stateDir, wish),
  })
  let looked: Promise<Ready | { reasons: readonly string[] }> | undefined

  async function look(): Promise<Ready | { reasons: readonly string[] }> {
    const missing = missingParts()
    if (missing.length > 0) return { reasons: missing }
    await mkdir(records.mountPoint, { recursive: true, mode: 0o700 })
    const cgroups = await findCgroups()
    const base = {
      clock,
      records,
      cgroups,
      bubblewrap: findProgram('bwrap') ?? '',
      nodePath,
      seccomp: seccompFilter(process.arch) ?? Buffer.alloc(0),
      guest: await readFile(new URL('./guest.mjs', import.meta.url)),
      brought: once(() => broughtAlong(nodePath)),
      certificates: await readFile('/etc/ssl/certs/ca-certificates.crt', 'utf8').catch(() => ''),
    }
    const refusals: string[] = []
    for (const mode of modesFor(process.getuid?.() === 0)) {
      const session = { ...base, mode, mountPoint: mountPointFor(mode, records.mountPoint) }
      const refusal = await tryOut(session)
      if (refusal === undefined) return { ...session, ...shortfalls(cgroups, mode) }
      refusals.push(`${mode}: ${refusal}`)
    }
    return { reasons: [`This machine gives no namespaces (${refusals.join('; ')}).`, namespaceAdvice] }
  }

  async function tryOut(session: Omit<Session, 'user'>): Promise<string | undefined> {
    const id = `try-${process.pid}-${session.mode}-${random().toString(36).slice(2)}`
    try {
      const user = userIn(session.mode, random())
      const result = await runSession(
        { ...session, user },
        { id, command: ['/bin/true'], env: {}, limits: trialLimits },
        {},
      )
      return result.exitCode === 0 ? undefined : `a trial ended with ${result.signal ?? result.exitCode}`
    } catch (error) {
      return reasonOf(error)
    }
  }

  async function ready(): Promise<Ready | { reasons: readonly string[] }> {
    looked ??= look()
    const found = await looked
    if (!('mode' in found)) looked = undefined
    return found
  }

  async function readyOrThrow(): Promise<Ready> {
    const state = await ready()
    if ('mode' in state) return state
    throw new AppError('sandbox.unavailable', state.reasons.join(' '))
  }

  const sessionOf = (state: Ready): Session => ({ ...state, user: userIn(state.mode, random()) })

  async function run(spec: SandboxSpec, watch: SandboxWatch): Promise<SandboxResult> {
    const state = await readyOrThrow()
    if (spec.image && state.mode === 'root-user-namespace')
      throw new AppError(
        'sandbox.failed',
        "The sandboxes of this container cannot reach Keyward's images, because it may not mount. Run the server with CAP_SYS_ADMIN, or without an image.",
      )
    if (!mayWait(state, spec)) return runFresh(state, spec, watch)
    const wish = wishOf(spec)
    const kind = kindOf(wish)
    // Only an agent's task is expected again; one that waits would do for anybody.
    if (spec.owner) ahead.expect(kind, wish)
    try {
      const waiting = ahead.take(kind)
      if (await waiting?.fit(spec)) return await (waiting?.run(spec, watch) ?? runFresh(state, spec, watch))
      void waiting?.discard()
      return await runFresh(state, spec, watch)
    } finally {
      if (spec.owner) ahead.ended(kind)
    }
  }

  async function runFresh(state: Ready, spec: SandboxSpec, watch: SandboxWatch): Promise<SandboxResult> {
    const session = sessionOf(state)
    if (!spec.egress) return runSession(session, spec, watch)
    const bridge = await letConnect(spec.egress.socketPath, state.mode, session.user)
    const egress = { ...spec.egress, socketPath: bridge?.socketPath ?? spec.egress.socketPath }
    return runSession(session, { ...spec, egress }, watch).finally(() => bridge?.close())
  }

  return {
    name: 'bubblewrap',
    async prepare(): Promise<DriverState> {
      const state = await ready()
      if (!('mode' in state)) return { ready: false, reasons: state.reasons }
      const { mode, controllers, reasons } = state
      return { ready: true, mode, userId: hasOwnUser(mode) ? 'own' : 'shared', controllers, reasons }
    },
    run,
    sweep: () => records.sweep(),
    ahead: {
      waiting: ahead.waiting,
      async add(spec) {
        if (mayWait(await readyOrThrow(), spec)) await ahead.add(kindOf(wishOf(spec)), wishOf(spec))
      },
      close: ahead.close,
    },
  }
}

function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

const namespaceAdvice =
  'Run the server as root, or allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 ' +
  '(on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0).'

function missingParts(): string[] {
  if (process.platform !== 'linux') return ['Sandboxes need Linux.']
  if (!seccompFilter(process.arch)) return [`There is no system-call filter for ${process.arch} yet.`]
  const reasons: string[] = []
  if (!findProgram('bwrap')) reasons.push(`bubblewrap is not installed. Run: ${installCommand().line}`)
  for (const program of ['unshare', 'setpriv', 'prlimit', 'mount']) {
    if (!findProgram(program))
      reasons.push(`${program} is not installed. Install the packages util-linux and mount.`)
  }
  return reasons
}

/** Another user cannot step into the server's folders, so that mode covers the one that every Linux has empty. */
const mountPointFor = (mode: Mode, own: string): string => (mode === 'root-user-namespace' ? '/mnt' : own)

function shortfalls(cgroups: CgroupBase, mode: Mode): { controllers: Controller[]; reasons: string[] } {
  const controllers = Object.keys(cgroups.folders) as Controller[]
  const reasons: string[] = []
  if (!controllers.includes('memory') || !controllers.includes('pids')) {
    reasons.push(
      'Control groups are not writable, so memory is watched from outside and limited for each process only. ' +
        'Run the server as root, as a systemd service with Delegate=yes, or below systemd-run --user --scope -p Delegate=yes.',
    )
  }
  if (!hasOwnUser(mode)) {
    reasons.push(
      'The sandbox shares its user id with the server. Install the package uidmap and give the account a range in /etc/subuid and /etc/subgid, or run the server as root.',
    )
  }
  return { controllers, reasons }
}

/** Where a sandbox is set up by its own user from the start, its way out is a bridge, which is built for one task. */
const mayWait = ({ mode }: Ready, spec: SandboxSpec): boolean =>
  mode !== 'root-user-namespace' || !spec.egress
