import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { AppError, type Clock, type FileTree, reasonOf } from '../core/index.ts'
import { type Channel, createFrameReader, type HostFrame, isBrokenPipe, sendFrame } from './frames.ts'
import { createOutput, type Output, type OutputTaker } from './output.ts'
import type { SandboxLimit, SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { folderTaker, folderTree, withFiles } from './tree.ts'
import { createTunnel } from './tunnel.ts'
import { type Received, receive, sendWorkspace } from './workspace.ts'

/** A sandbox that its driver has started: its guest waits for the first frame. */
export type Started = {
  channel: Channel
  /** What the command prints; `frames` when the guest says it on the channel. */
  output: { stdout: Readable; stderr: Readable } | 'frames'
  /** What the program that holds the sandbox said of itself, where that is apart from the command's output. */
  said?(): string
  /** Resolves when every process of the sandbox is gone. */
  gone: Promise<Status>
  /** Ends every process of the sandbox; may be called again. */
  end(): void
  /** Watches what no limit of the kernel bounds as a whole; returns what stops it. */
  watch(onLimit: (limit: SandboxLimit) => void): () => void
  /** Asked once, when the guest has ended or said that the command has. */
  usage(): Promise<{ outOfMemory: boolean; outOfProcesses: boolean }>
}

/** The exit of the program that holds the sandbox; 128 + n for a command that signal n ended. */
export type Status = { code: number | null; signal: string | null }

type Order = Omit<Extract<HostFrame, { kind: 'order' }>, 'kind' | 'handBack' | 'command'>

/** What a driver adds to the specification. */
type Terms = {
  clock: Clock
  order: Order
  /** The proxy's socket, when the guest's order says that connections travel as frames. */
  tunnelTo?: string | undefined
}

type Verdict = { limit: SandboxLimit | null; cancelled: boolean; started: boolean }

/** Speaks with the guest of a sandbox until the sandbox is gone. Call it in the turn of the event loop that started it. */
export async function follow(
  { clock, order, tunnelTo }: Terms,
  spec: SandboxSpec,
  watch: SandboxWatch,
  sandbox: Started,
): Promise<SandboxResult> {
  const { limits } = spec
  const { gone } = sandbox
  // It is awaited below, after the conversation; until then a failure is not an unhandled one.
  gone.catch(() => undefined)
  const startedAt = clock.now().getTime()
  const verdict: Verdict = { limit: null, cancelled: false, started: false }
  const end = (limit: SandboxLimit | null) => {
    verdict.limit ??= limit
    sandbox.end()
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
  const onOutput = listenTo(sandbox, output)
  const stops = [
    clock.after(limits.wallSeconds * 1000, () => end('wall')),
    sandbox.watch(end),
    () => watch.signal?.removeEventListener('abort', cancel),
  ]
  watch.signal?.addEventListener('abort', cancel, { once: true })
  if (watch.signal?.aborted) cancel()
  try {
    const received = await converse({
      spec,
      order,
      sandbox,
      verdict,
      tunnelTo,
      onOutput: onOutput?.take,
    }).finally(() => gone)
    const status = await gone
    onOutput?.end()
    const durationMs = clock.now().getTime() - startedAt
    return resultOf({
      received,
      status,
      verdict,
      durationMs,
      output,
      said: sandbox.said?.() ?? output.tail('stderr'),
    })
  } finally {
    for (const stop of stops) stop()
  }
}

/** Connects what the sandbox prints; returns what takes the frames where it prints by frames. */
function listenTo(sandbox: Started, output: Output) {
  if (sandbox.output !== 'frames') {
    output.attach('stdout', sandbox.output.stdout)
    output.attach('stderr', sandbox.output.stderr)
    return undefined
  }
  const sinks = { stdout: output.open('stdout'), stderr: output.open('stderr') }
  return {
    take: (stream: 'stdout' | 'stderr', part: Buffer) => sinks[stream].push(part),
    end() {
      sinks.stdout.end()
      sinks.stderr.end()
    },
  }
}

type Talk = {
  spec: SandboxSpec
  order: Order
  sandbox: Started
  verdict: Verdict
  tunnelTo: string | undefined
  onOutput: OutputTaker | undefined
}

/** Tells the guest what to do, fills its workspace, and listens until it ends. */
async function converse({ spec, order, sandbox, verdict, tunnelTo, onOutput }: Talk): Promise<Received> {
  const { end } = sandbox
  const { incoming, outgoing } = sandbox.channel
  for (const stream of [incoming, outgoing]) stream.on('error', () => undefined)
  const { workspaceOut, limits } = spec
  const frames = createFrameReader(incoming)
  const tunnel = tunnelTo === undefined ? undefined : createTunnel(outgoing, frames, tunnelTo)
  const listening = receive({
    frames,
    target: typeof workspaceOut === 'string' ? folderTaker(workspaceOut) : workspaceOut,
    diskBytes: limits.diskBytes,
    onStarted: () => {
      verdict.started = true
    },
    onOutput,
    tunnel,
  })
  try {
    const [received] = await Promise.all([listening, instruct(outgoing, spec, order)])
    const usage = await sandbox.usage()
    if (usage.outOfMemory) verdict.limit ??= 'memory'
    if (usage.outOfProcesses) verdict.limit ??= 'processes'
    if (received.exit) end()
    return received
  } catch (error) {
    end()
    // What ended the sandbox is the answer, not how the channel broke when it did.
    if (verdict.limit || verdict.cancelled) return { exit: undefined, leftBehind: [], full: false }
    throw error instanceof AppError
      ? error
      : new AppError('sandbox.failed', reasonOf(error), { cause: error })
  } finally {
    tunnel?.close()
    for (const stream of [incoming, outgoing]) stream.destroy()
  }
}

async function instruct(outgoing: Writable, spec: SandboxSpec, order: Order): Promise<void> {
  const { command, workspaceOut, limits } = spec
  const files = filesFor(spec)
  try {
    await sendFrame(outgoing, { kind: 'order', command, handBack: workspaceOut !== undefined, ...order })
    if (files) await sendWorkspace(outgoing, files, limits.diskBytes)
    await sendFrame(outgoing, { kind: 'end' })
  } catch (error) {
    // A guest that went away says why by its exit; everything else is ours to report.
    if (!outgoing.destroyed && !isBrokenPipe(error)) throw error
  }
}

function filesFor({ workspace, files }: SandboxSpec): { tree: FileTree; name: string } | undefined {
  const tree = typeof workspace === 'string' ? folderTree(workspace) : workspace
  const name = typeof workspace === 'string' ? workspace : 'that the task was given'
  if (files) return { tree: withFiles(tree, files), name }
  return tree && { tree, name }
}

type Facts = {
  received: Received
  status: Status
  verdict: Verdict
  durationMs: number
  output: Output
  said: string
}

function resultOf({ received, status, verdict, durationMs, output, said }: Facts): SandboxResult {
  const { cancelled, started } = verdict
  const stderrTail = output.tail('stderr')
  if (!started && !cancelled && !verdict.limit) {
    const reason = said.trim().slice(-600) || `it ended with ${status.signal ?? status.code}`
    throw new AppError('sandbox.failed', `The sandbox did not start: ${reason}`)
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
