import { createConnection, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { type FrameReader, frameBytes, type GuestFrame, sendBytes } from './frames.ts'

// The way to the egress proxy for a sandbox on another machine: its connections travel as frames between the others.

export type TunnelFrame = Extract<GuestFrame, { id: number }>

export type Tunnel = {
  /** Takes one frame and the bytes that follow it. */
  hear(frame: TunnelFrame): Promise<void>
  close(): void
}

/** Many for a command, few for the server; the guest is as untrusted as the command. */
const mostConnections = 256

/** `socketPath`: the proxy's. Whatever the guest asks for, it reaches this socket and nothing else. */
export function createTunnel(outgoing: Writable, frames: FrameReader, socketPath: string): Tunnel {
  const open = new Map<number, Socket>()
  let closed = false

  async function send(frame: Parameters<typeof frameBytes>[0], part?: Buffer): Promise<void> {
    const header = frameBytes(frame)
    // A channel that broke ends the sandbox, and is reported there.
    await sendBytes(outgoing, part ? Buffer.concat([header, part]) : header).catch(() => undefined)
  }

  async function connect(id: number): Promise<void> {
    // A guest that asks and asks without reading what it is told waits, instead of filling the server's memory.
    if (outgoing.writableNeedDrain) await drained(outgoing)
    if (open.has(id) || closed || outgoing.destroyed) return
    if (open.size >= mostConnections) {
      void send({ kind: 'closed', id })
      return
    }
    const socket = createConnection({ path: socketPath, allowHalfOpen: true })
    open.set(id, socket)
    socket.on('data', (part: Buffer) => {
      socket.pause()
      void send({ kind: 'data', id, size: part.length }, part).then(() => socket.resume())
    })
    socket.once('end', () => void send({ kind: 'closed', id }))
    socket.on('error', () => undefined)
    socket.once('close', () => {
      open.delete(id)
      if (!socket.readableEnded) void send({ kind: 'closed', id })
    })
  }

  async function pass(id: number, size: number): Promise<void> {
    for await (const part of frames.body(size)) {
      const socket = open.get(id)
      if (socket?.writable && !socket.write(part)) await drained(socket)
    }
  }

  return {
    async hear(frame) {
      if (frame.kind === 'connect') await connect(frame.id)
      else if (frame.kind === 'data') await pass(frame.id, frame.size)
      else open.get(frame.id)?.end()
    },
    close() {
      closed = true
      for (const socket of open.values()) socket.destroy()
    },
  }
}

const drained = (socket: Writable): Promise<void> =>
  new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle)
      socket.off('close', settle)
      resolve()
    }
    socket.once('drain', settle)
    socket.once('close', settle)
  })
