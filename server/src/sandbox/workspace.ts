import { mkdir, readdir } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { AppError, type FileTree, isPortable, type TreeTaker } from '../core/index.ts'
import { mostFiles } from './entry.ts'
import { type FrameReader, type GuestFrame, sendBytes, sendFrame } from './frames.ts'
import type { OutputTaker } from './output.ts'
import type { Tunnel, TunnelFrame } from './tunnel.ts'

/** Copies a tree of files into the sandbox; `name` is what a refusal calls it. */
export async function sendWorkspace(
  outgoing: Writable,
  { tree, name }: { tree: FileTree; name: string },
  diskBytes: number,
): Promise<void> {
  let sentBytes = 0
  for await (const entry of tree) {
    if (entry.kind !== 'file') {
      await sendFrame(outgoing, entry)
      continue
    }
    const { kind, path, size, executable, body } = entry
    sentBytes += size
    if (sentBytes > diskBytes) {
      throw new AppError(
        'sandbox.failed',
        `The workspace ${name} holds more than the ${diskBytes} bytes that the sandbox may write. Raise diskBytes or choose a smaller folder.`,
      )
    }
    await sendFrame(outgoing, { kind, path, size, executable })
    await sendBody(outgoing, body, size, path)
  }
}

/** Sends exactly `size` bytes: the frame has promised them. */
async function sendBody(
  outgoing: Writable,
  parts: AsyncIterable<Uint8Array>,
  size: number,
  path: string,
): Promise<void> {
  let left = size
  if (left === 0) return
  for await (const part of parts) {
    await sendBytes(outgoing, Buffer.from(part.buffer, part.byteOffset, part.length))
    left -= part.length
  }
  if (left !== 0)
    throw new AppError('sandbox.failed', `The file ${path} changed while it was copied in. Try again.`)
}

export type Received = {
  exit: Extract<GuestFrame, { kind: 'exited' }> | undefined
  leftBehind: string[]
  full: boolean
}

type Receive = {
  frames: FrameReader
  /** Who takes the files; undefined when nothing is wanted back. */
  target: TreeTaker | undefined
  diskBytes: number
  onStarted: () => void
  /** Takes what the command printed, where the guest has no streams of its own for that. */
  onOutput?: OutputTaker | undefined
  /** Where the sandbox's connections go, when it has no socket for them. */
  tunnel?: Tunnel | undefined
}

/**
 * Reads what the guest says until it ends. The taker is given only names that were checked, in folders that it was given
 * before, and no links: they do not leave the sandbox.
 */
export async function receive({
  frames,
  target,
  diskBytes,
  onStarted,
  onOutput,
  tunnel,
}: Receive): Promise<Received> {
  const received: Received = { exit: undefined, leftBehind: [], full: false }
  const unpack = target === undefined ? undefined : createUnpacker(target, frames, diskBytes, received)

  /** Answers false when there is nothing more to hear. */
  async function hear(frame: Exclude<GuestFrame, { kind: 'ready' }>): Promise<boolean> {
    if (frame.kind === 'started') onStarted()
    else if (frame.kind === 'failed')
      throw new AppError('sandbox.failed', `Inside the sandbox: ${frame.reason.slice(0, 1000)}`)
    else if (frame.kind === 'exited') {
      received.exit = frame
      received.full = frame.full
    } else if (frame.kind === 'output') {
      for await (const part of frames.body(frame.size)) await onOutput?.(frame.stream, part)
    } else if ('id' in frame) return tunnelled(frame)
    else return frame.kind !== 'end' && unpack !== undefined && (await unpack(frame))
    return true
  }

  /** One that was not given a tunnel has no business with these. */
  async function tunnelled(frame: TunnelFrame): Promise<boolean> {
    await tunnel?.hear(frame)
    return tunnel !== undefined
  }

  for (let frame = await frames.next(); frame; frame = await frames.next()) {
    if (frame.kind !== 'ready' && !(await hear(frame))) break
  }
  return received
}

type Entry = Extract<GuestFrame, { path: string }>

/** Enough to explain a result; a hostile guest could name millions. */
const mostNamed = 1000

/** Answers false when the sandbox hands back more than it was allowed to write. */
function createUnpacker(target: TreeTaker, frames: FrameReader, diskBytes: number, received: Received) {
  const made = new Set([''])
  let entries = 0
  let bytes = 0

  function nameLeft(path: string): void {
    if (received.leftBehind.length < mostNamed) received.leftBehind.push(path.slice(0, 4096))
  }

  async function leave(entry: Entry): Promise<void> {
    nameLeft(entry.path)
    if (entry.kind !== 'file') return
    for await (const part of frames.body(entry.size)) void part
  }

  return async (entry: Entry): Promise<boolean> => {
    entries += 1
    if (entry.kind === 'file') bytes += entry.size
    if (entries > mostFiles(diskBytes) || bytes > diskBytes) {
      received.full = true
      nameLeft(entry.path)
      return false
    }
    if (entry.kind === 'left' || !isPortable(entry.path) || !made.has(parentOf(entry.path)))
      await leave(entry)
    else if (entry.kind === 'file') await target.file(entry, frames.body(entry.size))
    else {
      await target.directory(entry.path)
      made.add(entry.path)
    }
    return true
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** Makes the folder that takes the result, where it is to be a folder; refuses one that holds something already. */
export async function claimTarget(target: string | TreeTaker | undefined): Promise<void> {
  if (typeof target !== 'string') return
  await mkdir(target, { recursive: true, mode: 0o700 })
  const present = await readdir(target)
  if (present.length === 0) return
  throw new AppError('sandbox.failed', `The folder ${target} is not empty. Choose a new one for the result.`)
}
