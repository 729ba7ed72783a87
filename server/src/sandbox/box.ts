import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { Duplex, type Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { bubblewrapArguments, descriptors, filesFor, guestWords } from './bubblewrap-arguments.ts'
import { type Cgroup, type CgroupBase, createCgroup, groupFolders } from './cgroups.ts'
import type { Status } from './conversation.ts'
import { entryWords, type Mode } from './entry.ts'
import { groupLimits } from './inside.ts'
import type { OwnRuntime } from './own-runtime.ts'
import { markOf, type NewRecord } from './records.ts'
import type { SandboxLimits } from './sandbox.ts'

/** What a sandbox is made of, whoever it is for; read once per process, but for `user`. */
export type Parts = {
  cgroups: CgroupBase
  mode: Mode
  user: number
  bubblewrap: string
  nodePath: string
  mountPoint: string
  seccomp: Buffer
  guest: Buffer
  /** What starts the guest where an image stands in for the host's files. */
  brought: () => OwnRuntime
}

/** What must be known of a task before its sandbox can be started. The rest is told to its guest. */
export type Shape = {
  limits: SandboxLimits
  readOnly: readonly string[]
  /** The host folder with the proxy's socket; undefined without a way out. */
  egressFolder: string | undefined
  /** The host folder with the image; undefined where the host's own files serve. */
  imageRoot: string | undefined
}

/** A sandbox that bubblewrap has made. Its guest waits for an order. */
export type Box = {
  cgroup: Cgroup
  child: ChildProcess
  control: Duplex
  output: { stdout: Readable; stderr: Readable }
  /** Resolves when bubblewrap, the first process of the sandbox, and with it all others, are gone. */
  gone: Promise<Status>
  isAlive(): boolean
  /** Ends every process of it; may be called again. */
  end(): void
  /** Whether this process may end while the box is there. */
  hold(keepsServer: boolean): void
}

const groupName = (id: string): string => `keyward-${id}`

/** What a record says of a box before it is there. */
export async function recordFor(parts: Pick<Parts, 'cgroups'>, id: string): Promise<NewRecord> {
  const server = (await markOf(process.pid)) ?? { pid: process.pid, startTime: '' }
  return { server, cgroupFolders: groupFolders(parts.cgroups, groupName(id)) }
}

/** The caller keeps a record of it, and removes the control group after its end. */
export async function openBox(parts: Parts, id: string, shape: Shape): Promise<Box> {
  const cgroup = await createCgroup(parts.cgroups, groupName(id), groupLimits(shape.limits))
  const child = start(parts, shape, cgroup)
  const { stdout, stderr } = child
  assert.ok(stdout && stderr, 'the output of the sandbox is not a pipe')
  const control = pipeOf(child, descriptors.control)
  control.on('error', () => undefined)
  const gone = exitOf(child)
  // Whoever uses the box awaits it, later.
  gone.catch(() => undefined)
  return {
    cgroup,
    child,
    control,
    output: { stdout, stderr },
    gone,
    isAlive: () => child.exitCode === null && child.signalCode === null && child.pid !== undefined,
    end: () => killAll(child),
    hold(keepsServer) {
      const all: readonly unknown[] = [child, ...child.stdio]
      for (const one of all)
        if (one === child || one instanceof Socket)
          (one as ChildProcess | Socket)[keepsServer ? 'ref' : 'unref']()
    },
  }
}

function start(parts: Parts, shape: Shape, cgroup: Cgroup): ChildProcess {
  const { mode, user, mountPoint, nodePath } = parts
  const { limits } = shape
  const groupBoundsMemory = cgroup.controllers.includes('memory')
  const runtime = shape.imageRoot === undefined ? undefined : parts.brought()
  const [program = '', ...words] = [
    ...entryWords({ mode, user, mountPoint, diskBytes: limits.diskBytes, joinFiles: cgroup.joinFiles }),
    ...[parts.bubblewrap, '--args', String(descriptors.arguments), '--'],
    ...guestWords({ mode, user, limits, groupBoundsMemory, runtime }),
  ]
  const child = spawn(program, words, {
    cwd: '/',
    // A session of its own: Ctrl-C in the server's terminal is the server's to handle.
    detached: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe', ...Object.keys(descriptors).map(() => 'pipe' as const)],
  })
  give(child, descriptors.seccomp, parts.seccomp)
  for (const [name, content] of Object.entries(filesFor(user, parts.guest))) {
    give(child, descriptors[name as keyof ReturnType<typeof filesFor>], content)
  }
  const bubblewrapWords = bubblewrapArguments({ shape, mode, user, mountPoint, nodePath, runtime })
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
