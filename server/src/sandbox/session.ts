import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { Duplex, type Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../core/index.ts'
import { bubblewrapArguments, descriptors, filesFor, guestWords } from './bubblewrap-arguments.ts'
import { type Cgroup, type CgroupBase, createCgroup, groupFolders } from './cgroups.ts'
import { follow, type Started, type Status } from './conversation.ts'
import { entryWords, type Mode } from './entry.ts'
import { groupLimits, guestOrder } from './inside.ts'
import { markOf, type NewRecord, noteProcess, openRecord, type Records } from './records.ts'
import type { SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { watchUsage } from './watch.ts'
import { claimTarget } from './workspace.ts'

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
  await claimTarget(spec.workspaceOut)
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

async function runIn(
  cgroup: Cgroup,
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
  record: NewRecord,
): Promise<SandboxResult> {
  const child = start(session, spec, cgroup)
  const control = pipeOf(child, descriptors.control)
  const sandbox: Started = {
    channel: { incoming: control, outgoing: control },
    output: { stdout: child.stdout as Readable, stderr: child.stderr as Readable },
    gone: exitOf(child),
    end: () => killAll(child),
    watch: (onLimit) =>
      watchUsage({
        clock: session.clock,
        limits: spec.limits,
        cgroup,
        rootPid: child.pid ?? 0,
        mountPoint: session.mountPoint,
        onLimit,
        onUsage: watch.onUsage,
      }),
    usage: () => cgroup.usage(),
  }
  const result = follow({ clock: session.clock, order: guestOrder(spec) }, spec, watch, sandbox)
  const noted = noteProcess(session.records, spec.id, record, child)
  return result.finally(() => noted)
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
