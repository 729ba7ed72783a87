import type { ServerResponse } from 'node:http'
import { type Clock, type Log, repeat } from '../core/index.ts'

const beatMilliseconds = 20_000
/** A client that reads too slowly is let go; it comes back with the last `id` it saw and gets the rest. */
const mostUnsentBytes = 1024 * 1024

export type StreamNeeds = {
  clock: Pick<Clock, 'after'>
  log: Log
  /** Throws when who listens may not any more: signed out, expired, disabled. Asked at each beat. */
  stillAllowed: () => Promise<unknown>
}

export type EventStream = {
  /** `name` is absent for the plain kind, which a page hears as `message`. */
  send(id: number, data: unknown, name?: string): void
  end(): void
  isOver(): boolean
}

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A client that was away sends the last
 * `id` it saw and gets what it missed.
 */
export function openEventStream(
  response: ServerResponse,
  { clock, log, stillAllowed }: StreamNeeds,
  onClose: () => void,
): EventStream {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const isOver = (): boolean => response.writableEnded || response.destroyed
  const write = (text: string): void => {
    if (isOver()) return
    response.write(text)
    if (response.writableLength > mostUnsentBytes) response.destroy()
  }
  write('retry: 1000\n\n')
  const beat = async (): Promise<void> => {
    await stillAllowed().catch(() => response.end())
    write(': still here\n\n')
  }
  const stopBeat = repeat({ clock, log }, { name: 'live stream', milliseconds: beatMilliseconds, work: beat })
  response.on('close', () => {
    stopBeat()
    onClose()
  })
  return {
    send: (id, data, name) =>
      write(`id: ${id}\n${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`),
    end: () => void response.end(),
    isOver,
  }
}
