import { constants, type Dirent } from 'node:fs'
import { mkdir, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { AppError } from '../core/index.ts'
import { mostFiles } from './entry.ts'
import { type FrameReader, type GuestFrame, sendBytes, sendFrame } from './frames.ts'
import type { Tunnel, TunnelFrame } from './tunnel.ts'

/**
 * Copies a host folder into the sandbox. Links travel as links, so they lead to whatever stands at that path inside.
 * Sockets, pipes and devices stay behind.
 */
export async function sendWorkspace(channel: Duplex, root: string, diskBytes: number): Promise<void> {
  let sentBytes = 0

  async function sendFile(path: string): Promise<void> {
    const file = await open(
      join(root, path),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    try {
      const { size, mode } = await file.stat()
      sentBytes += size
      if (sentBytes > diskBytes) {
        throw new AppError(
          'sandbox.failed',
          `The workspace ${root} holds more than the ${diskBytes} bytes that the sandbox may write. Raise diskBytes or choose a smaller folder.`,
        )
      }
      await sendFrame(channel, { kind: 'file', path, size, executable: (mode & 0o100) !== 0 })
      await sendBody(channel, file.createReadStream({ start: 0, end: Math.max(0, size - 1) }), size, path)
    } finally {
      await file.close().catch(() => undefined)
    }
  }

  async function sendFolder(prefix: string): Promise<void> {
    for (const entry of await readdir(join(root, prefix), { withFileTypes: true })) {
      const path = prefix + entry.name
      if (entry.isDirectory()) {
        await sendFrame(channel, { kind: 'directory', path })
        await sendFolder(`${path}/`)
      } else await sendLeaf(entry, path)
    }
  }

  async function sendLeaf(entry: Dirent, path: string): Promise<void> {
    if (entry.isFile()) await sendFile(path)
    else if (entry.isSymbolicLink()) {
      await sendFrame(channel, { kind: 'link', path, target: await readlink(join(root, path)) })
    }
  }

  await sendFolder('')
}

/** Sends exactly `size` bytes: the frame has promised them. */
async function sendBody(
  channel: Duplex,
  parts: AsyncIterable<Buffer>,
  size: number,
  path: string,
): Promise<void> {
  let left = size
  if (left === 0) return
  for await (const part of parts) {
    await sendBytes(channel, part)
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
  /** Where files go; undefined when nothing is wanted back. */
  target: string | undefined
  diskBytes: number
  onStarted: () => void
  /** Takes what the command printed, where the guest has no streams of its own for that. */
  onOutput?: ((stream: 'stdout' | 'stderr', part: Buffer) => void) | undefined
  /** Where the sandbox's connections go, when it has no socket for them. */
  tunnel?: Tunnel | undefined
}

/**
 * Reads what the guest says until it ends. Files are written only below `target`, into folders that this call made, by
 * names that it has checked, and never through a link: links do not leave the sandbox.
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
  async function hear(frame: GuestFrame): Promise<boolean> {
    if (frame.kind === 'started') onStarted()
    else if (frame.kind === 'failed')
      throw new AppError('sandbox.failed', `Inside the sandbox: ${frame.reason.slice(0, 1000)}`)
    else if (frame.kind === 'exited') {
      received.exit = frame
      received.full = frame.full
    } else if (frame.kind === 'output') {
      for await (const part of frames.body(frame.size)) onOutput?.(frame.stream, part)
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
    if (!(await hear(frame))) break
  }
  return received
}

type Entry = Extract<GuestFrame, { path: string }>

/** Enough to explain a result; a hostile guest could name millions. */
const mostNamed = 1000

/** Answers false when the sandbox hands back more than it was allowed to write. */
function createUnpacker(target: string, frames: FrameReader, diskBytes: number, received: Received) {
  const made = new Set([''])
  let entries = 0
  let bytes = 0

  function nameLeft(path: string): void {
    if (received.leftBehind.length < mostNamed) received.leftBehind.push(path.slice(0, 4096))
  }

  async function writeFile(entry: Extract<Entry, { kind: 'file' }>): Promise<void> {
    const file = await open(join(target, entry.path), 'wx', entry.executable ? 0o700 : 0o600)
    try {
      for await (const part of frames.body(entry.size)) await file.writeFile(part)
    } finally {
      await file.close()
    }
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
    else if (entry.kind === 'file') await writeFile(entry)
    else {
      await mkdir(join(target, entry.path), { mode: 0o700 })
      made.add(entry.path)
    }
    return true
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** A relative path of plain names: no `..`, no empty part, no control characters. */
function isPortable(path: string): boolean {
  if (path.length === 0 || path.length > 4096) return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return false
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.length <= 255)
}

/** Makes the folder that takes the result; refuses one that holds something already. */
export async function claimTarget(target: string): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o700 })
  const present = await readdir(target)
  if (present.length === 0) return
  throw new AppError('sandbox.failed', `The folder ${target} is not empty. Choose a new one for the result.`)
}
