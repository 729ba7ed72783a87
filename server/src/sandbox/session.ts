import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { basename, join } from 'node:path'
import { Duplex, type Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { AppError, type Clock, reasonOf } from '../core/index.ts'
import {
  bubblewrapArguments,
  commandEnvironment,
  descriptors,
  filesFor,
  groupLimits,
  guestWords,
  insidePaths,
  relayPort,
} from './bubblewrap-arguments.ts'
import { type Cgroup, type CgroupBase, createCgroup, groupFolders } from './cgroups.ts'
import { entryWords, type Mode } from './entry.ts'
import { createFrameReader, isBrokenPipe, sendFrame } from './frames.ts'
import { createOutput, type Output } from './output.ts'
import { markOf, type Records, type SandboxRecord } from './records.ts'
import type { SandboxLimit, SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { watchUsage } from './watch.ts'
import { claimTarget, type Received, receive, sendWorkspace } from './workspace.ts'

/** Everything that one run needs from the driver; read once per process, but for `user`. */
export type Session = {
  clock: Clock
  records: Records
  cgroups: CgroupBase
  mode: Mode
  user: number
  bubblewrap: string
  nodePath: string
  mountPoint: string
  seccomp: Buffer
  guest: Buffer
  certificates: string
}

export async function runSession(
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
): Promise<SandboxResult> {
  if (spec.workspaceOut !== undefined) await claimTarget(spec.workspaceOut)
  const name = `keyward-${spec.id}`
  const server = (await markOf(process.pid)) ?? { pid: process.pid, startTime: '' }
  const record = { server, cgroupFolders: groupFolders(session.cgroups, name) }
  await openRecord(session.records, spec.id, record)
  try {
    const cgroup = await createCgroup(session.cgroups, name, groupLimits(spec.limits))
    return await runIn(cgroup, session, spec, watch, record).finally(() => cgroup.remove())
  } finally {
    await session.records.remove(spec.id)
  }
}

type Opened = Omit<SandboxRecord, 'process'>

async function openRecord(records: Records, id: string, record: Opened): Promise<void> {
  try {
    await records.open(id, { ...record, process: null })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    throw new AppError('sandbox.failed', `A sandbox with the id ${id} is running already. Use each id once.`)
  }
}

async function runIn(
  cgroup: Cgroup,
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
  record: Opened,
): Promise<SandboxResult> {
  const child = start(session, spec, cgroup)
  // Followed in the same turn of the event loop, so that even the shortest life is seen whole.
  const result = follow(session, spec, watch, child, cgroup)
  const noted = noteProcess(session.records, spec.id, record, child)
  return result.finally(() => noted)
}

async function noteProcess(records: Records, id: string, record: Opened, child: ChildProcess): Promise<void> {
  const mark = child.pid === undefined ? undefined : await markOf(child.pid)
  // Failing here leaves the first record, which still names the control groups and the server.
  await records.update(id, { ...record, process: mark ?? null }).catch(() => undefined)
}

function start(session: Session, spec: SandboxSpec, cgroup: Cgroup): ChildProcess {
  const { mode, user, mountPoint, nodePath } = session
  const { diskBytes } = spec.limits
  const [program = '', ...words] = [
    ...entryWords({ mode, user, mountPoint, diskBytes, joinFiles: cgroup.joinFiles }),
    ...[session.bubblewrap, '--args', String(descriptors.arguments), '--'],
    ...guestWords({
      mode,
      user,
      limits: spec.limits,
      groupBoundsMemory: cgroup.controllers.includes('memory'),
    }),
  ]
  const child = spawn(program, words, {
    cwd: '/',
    // A session of its own: Ctrl-C in the server's terminal is the server's to handle.
    detached: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe', ...Object.keys(descriptors).map(() => 'pipe' as const)],
  })
  const certificates = spec.egress ? `${session.certificates}\n${spec.egress.caPem}` : ''
  give(child, descriptors.seccomp, session.seccomp)
  for (const [name, content] of Object.entries(filesFor(user, session.guest, certificates))) {
    give(child, descriptors[name as keyof ReturnType<typeof filesFor>], content)
  }
  const bubblewrapWords = bubblewrapArguments({ spec, mode, user, mountPoint, nodePath })
  give(child, descriptors.arguments, bubblewrapWords.map((word) => `${word}\0`).join(''))
  return child
}

/** Node types only the first five of a child's streams; each `pipe` is a socket that goes both ways. */
function pipeOf(child: ChildProcess, fd: number): Duplex {
  const streams: readonly unknown[] = child.stdio
  const pipe = streams[fd]
  assert.ok(pipe instanceof Duplex, `descriptor ${fd} of the sandbox is not a pipe`)
  return pipe
}

/** Hands a whole small file over. A reader that goes away early is seen by its exit. */
function give(child: ChildProcess, fd: number, content: Buffer | string): void {
  const pipe = pipeOf(child, fd)
  pipe.on('error', () => undefined)
  // It is a socket: unread, its other direction would keep the child's `close` from ever coming.
  pipe.resume()
  pipe.end(content)
}

type Verdict = { limit: SandboxLimit | null; cancelled: boolean; started: boolean }

async function follow(
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
  child: ChildProcess,
  cgroup: Cgroup,
): Promise<SandboxResult> {
  const { limits } = spec
  const gone = exitOf(child)
  // It is awaited below, after the conversation; until then a failure is not an unhandled one.
  gone.catch(() => undefined)
  const startedAt = session.clock.now().getTime()
  const verdict: Verdict = { limit: null, cancelled: false, started: false }
  const end = (limit: SandboxLimit | null) => {
    verdict.limit ??= limit
    killAll(child)
  }
  const cancel = () => {
    verdict.cancelled = true
    end(null)
  }
  const output = createOutput({
    outputBytes: limits.outputBytes,
    newFilter: watch.newFilter,
    onOutput: watch.onOutput,
    onFlood: () => end('output'),
  })
  output.attach('stdout', child.stdout as Readable)
  output.attach('stderr', child.stderr as Readable)
  const stops = [
    session.clock.after(limits.wallSeconds * 1000, () => end('wall')),
    watchUsage({ clock: session.clock, limits, cgroup, rootPid: child.pid ?? 0, onLimit: end }),
    () => watch.signal?.removeEventListener('abort', cancel),
  ]
  watch.signal?.addEventListener('abort', cancel, { once: true })
  if (watch.signal?.aborted) cancel()
  try {
    const received = await converse(spec, child, verdict).finally(() => gone)
    const status = await gone
    const usage = await cgroup.usage()
    if (usage.outOfMemory) verdict.limit ??= 'memory'
    if (usage.outOfProcesses) verdict.limit ??= 'processes'
    const durationMs = session.clock.now().getTime() - startedAt
    return resultOf({ received, status, verdict, durationMs, output })
  } finally {
    for (const stop of stops) stop()
  }
}

/** Tells the guest what to do, fills its workspace, and listens until it ends. */
async function converse(spec: SandboxSpec, child: ChildProcess, verdict: Verdict): Promise<Received> {
  const channel = pipeOf(child, descriptors.control)
  channel.on('error', () => undefined)
  const { workspace, workspaceOut, limits } = spec
  const listening = receive({
    frames: createFrameReader(channel),
    target: workspaceOut,
    diskBytes: limits.diskBytes,
    onStarted: () => {
      verdict.started = true
    },
  })
  try {
    const [received] = await Promise.all([listening, instruct(channel, spec, workspace)])
    if (received.exit) killAll(child)
    return received
  } catch (error) {
    killAll(child)
    // What ended the sandbox is the answer, not how the channel broke when it did.
    if (verdict.limit || verdict.cancelled) return { exit: undefined, leftBehind: [], full: false }
    throw error instanceof AppError
      ? error
      : new AppError('sandbox.failed', reasonOf(error), { cause: error })
  } finally {
    channel.destroy()
  }
}

const socketInside = (socketPath: string): string => join(insidePaths.egress, basename(socketPath))

async function instruct(channel: Duplex, spec: SandboxSpec, workspace: string | undefined): Promise<void> {
  try {
    await sendFrame(channel, {
      kind: 'order',
      command: spec.command,
      env: commandEnvironment(spec),
      ...(spec.egress
        ? { relay: { port: relayPort, socketPath: socketInside(spec.egress.socketPath) } }
        : {}),
      handBack: spec.workspaceOut !== undefined,
    })
    if (workspace !== undefined) await sendWorkspace(channel, workspace, spec.limits.diskBytes)
    await sendFrame(channel, { kind: 'end' })
  } catch (error) {
    // A guest that went away says why by its exit; everything else is ours to report.
    if (!channel.destroyed && !isBrokenPipe(error)) throw error
  }
}

/**
 * Ends the whole process group. The first process of the sandbox is tied to the life of bubblewrap only after it has started:
 * until then it would outlive its parent, wait for ever for its user ids, and hold the streams open.
 */
function killAll({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: nobody is left.
  }
}

type Status = { code: number | null; signal: string | null }

/** Resolves when bubblewrap, the first process of the sandbox, and with it all others, are gone. */
async function exitOf(child: ChildProcess): Promise<Status> {
  let status = ''
  const stream = pipeOf(child, descriptors.status)
  stream.on('data', (part: Buffer) => {
    status += part.toString('utf8')
  })
  const ended = await new Promise<Status>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => killAll(child))
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const firstPid = Number(/"child-pid": (\d+)/.exec(status)?.[1] ?? 0)
  for (let attempt = 0; attempt < 200 && firstPid > 0 && (await markOf(firstPid)); attempt++) await pause(10)
  return ended
}

type Facts = { received: Received; status: Status; verdict: Verdict; durationMs: number; output: Output }

function resultOf({ received, status, verdict, durationMs, output }: Facts): SandboxResult {
  const { cancelled, started } = verdict
  const stderrTail = output.tail('stderr')
  if (!started && !cancelled && !verdict.limit) {
    const said = stderrTail.trim().slice(-600) || `it ended with ${status.signal ?? status.code}`
    throw new AppError('sandbox.failed', `The sandbox did not start: ${said}`)
  }
  const exit = received.exit
    ? { code: received.exit.code, signal: received.exit.signal }
    : outsideStatus(status)
  return {
    exitCode: exit.code,
    signal: exit.signal,
    durationMs,
    limit: verdict.limit ?? limitOf(exit) ?? (received.full ? 'disk' : null),
    cancelled,
    stdoutTail: output.tail('stdout'),
    stderrTail,
    leftBehind: received.leftBehind,
  }
}

/** Bubblewrap answers 128 + n for a command that signal n ended. */
function outsideStatus({ code, signal }: Status): Status {
  if (code === null || code <= 128) return { code, signal }
  return { code: null, signal: signalName(code - 128) ?? signal }
}

const signalName = (number: number): string | undefined =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0]

/** The kernel ends a process by these signals; a shell around it answers 128 + n. */
function limitOf({ code, signal }: Status): SandboxLimit | null {
  const name = signal ?? (code !== null && code > 128 ? signalName(code - 128) : undefined)
  if (name === 'SIGXCPU') return 'cpu'
  return name === 'SIGXFSZ' ? 'disk' : null
}
