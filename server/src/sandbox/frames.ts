import type { Readable, Writable } from 'node:stream'
import { z } from 'zod'

// The control channel between the host and guest.mjs: lines of JSON, some followed by `size` raw bytes. What comes from
// the guest is as untrusted as the command that runs beside it.

/**
 * Two streams that break apart from each other: what has arrived is still read when nothing more can be sent. One that goes
 * both ways is destroyed by a write that fails, and takes with it what nobody has read yet.
 */
export type Channel = { incoming: Readable; outgoing: Writable }

export type HostFrame =
  | {
      kind: 'order'
      command: readonly string[]
      env: Record<string, string>
      relay?: { port: number; socketPath: string }
      places?: Places
      /** The relay's socket is the guest's own, and what comes to it travels as frames. */
      tunnel?: true
      handBack: boolean
    }
  | { kind: 'directory'; path: string }
  | { kind: 'file'; path: string; size: number; executable: boolean }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'end' }
  | { kind: 'data'; id: number; size: number }
  | { kind: 'closed'; id: number }

/** What the guest makes before everything else, where the driver could not. */
export type Places = {
  /** The one writable folder. */
  root: string
  folders: readonly { name: string; mode: number }[]
  texts: readonly { path: string; text: string }[]
}

const guestFrame = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('started') }),
  z.object({ kind: z.literal('failed'), reason: z.string() }),
  z.object({
    kind: z.literal('exited'),
    code: z.int().min(0).max(255).nullable(),
    signal: z
      .string()
      .regex(/^SIG[A-Z0-9]{1,12}$/)
      .nullable(),
    full: z.boolean(),
  }),
  z.object({ kind: z.literal('directory'), path: z.string() }),
  z.object({ kind: z.literal('file'), path: z.string(), size: z.int().min(0), executable: z.boolean() }),
  z.object({ kind: z.literal('left'), path: z.string(), reason: z.string() }),
  z.object({ kind: z.literal('connect'), id: z.int().min(0) }),
  z.object({ kind: z.literal('data'), id: z.int().min(0), size: z.int().min(0) }),
  z.object({ kind: z.literal('closed'), id: z.int().min(0) }),
  z.object({ kind: z.literal('output'), stream: z.enum(['stdout', 'stderr']), size: z.int().min(0) }),
  z.object({ kind: z.literal('end') }),
])

export type GuestFrame = z.infer<typeof guestFrame>

/** Longer than any path that Linux takes, escaped. */
const longestHeaderBytes = 32 * 1024

export type FrameReader<Frame = GuestFrame> = {
  /** The next frame, or undefined when the channel ends between two frames. */
  next(): Promise<Frame | undefined>
  /** The raw bytes after a `file` frame, part by part; throws when the channel ends before them. */
  body(size: number): AsyncGenerator<Buffer>
}

export const createFrameReader = (incoming: Readable): FrameReader => createReader(incoming, guestFrame)

/** Of lines that have this shape; each that has not is an error. */
export function createReader<Frame>(
  incoming: Readable,
  shape: Pick<z.ZodType<Frame>, 'parse'>,
): FrameReader<Frame> {
  const chunks: AsyncIterator<Buffer> = incoming[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<Buffer | undefined> {
    try {
      const { value, done } = await chunks.next()
      return done ? undefined : value
    } catch (error) {
      // A guest that was killed resets the channel: for the reader that is its end.
      if (isBrokenPipe(error)) return undefined
      throw error
    }
  }

  return {
    async next() {
      let end = held.indexOf(10)
      while (end < 0) {
        if (held.length > longestHeaderBytes) throw new Error('the sandbox sent a header without an end')
        const part = await more()
        if (part === undefined) return undefined
        end = part.indexOf(10)
        if (end >= 0) end += held.length
        held = Buffer.concat([held, part])
      }
      const line = held.subarray(0, end).toString('utf8')
      held = held.subarray(end + 1)
      return shape.parse(JSON.parse(line))
    },
    async *body(size) {
      let left = size
      while (left > 0) {
        if (held.length === 0) held = (await more()) ?? Buffer.alloc(0)
        if (held.length === 0) throw new Error('the sandbox ended inside a file')
        const part = held.subarray(0, left)
        held = held.subarray(part.length)
        left -= part.length
        yield part
      }
    },
  }
}

/** Resolves when the bytes are handed on, so that a large workspace is never held in memory whole. */
export function sendBytes(outgoing: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    outgoing.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

export const frameBytes = (frame: HostFrame): Buffer => Buffer.from(`${JSON.stringify(frame)}\n`)

export const sendFrame = (outgoing: Writable, frame: HostFrame): Promise<void> =>
  sendBytes(outgoing, frameBytes(frame))

export const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ECONNRESET')
