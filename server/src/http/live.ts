import type { ServerResponse } from 'node:http'
import type { LiveEvent } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import { type Clock, type Log, reasonOf, repeat } from '../core/index.ts'

const beatMilliseconds = 20_000
const catchUpLimit = 1000
/** A client that reads too slowly is let go; it comes back with the last `id` it saw and gets the rest. */
const mostUnsentBytes = 1024 * 1024

type Needs = {
  bus: Pick<Bus, 'subscribe' | 'since'>
  clock: Pick<Clock, 'after'>
  log: Log
  /** Throws when who listens may not any more: signed out, expired, disabled. Asked at each beat. */
  stillAllowed: () => Promise<unknown>
}

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A client that was away sends the last
 * `id` it saw and gets what it missed.
 */
export async function streamEvents(
  response: ServerResponse,
  { bus, clock, log, stillAllowed }: Needs,
  lastSeq: number | undefined,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write('retry: 1000\n\n')
  let sent = lastSeq ?? 0
  let held: LiveEvent[] | undefined = []
  const write = (text: string): void => {
    if (response.writableEnded || response.destroyed) return
    response.write(text)
    if (response.writableLength > mostUnsentBytes) response.destroy()
  }
  const send = (event: LiveEvent): void => {
    if (event.seq <= sent) return
    sent = event.seq
    write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`)
  }
  const unsubscribe = bus.subscribe((event) => (held ? void held.push(event) : send(event)))
  const beat = async (): Promise<void> => {
    await stillAllowed().catch(() => response.end())
    write(': still here\n\n')
  }
  const stopBeat = repeat({ clock, log }, { name: 'live stream', milliseconds: beatMilliseconds, work: beat })
  response.on('close', () => {
    stopBeat()
    unsubscribe()
  })
  try {
    if (lastSeq !== undefined) await catchUp(bus, lastSeq, send, () => response.destroyed)
  } catch (error) {
    // The answer has begun, so nothing can be said any more; the client asks again.
    log.warn({ reason: reasonOf(error) }, 'a live stream could not catch up')
    response.destroy()
  }
  const waiting = held
  held = undefined
  for (const event of waiting) send(event)
}

async function catchUp(
  bus: Pick<Bus, 'since'>,
  lastSeq: number,
  send: (event: LiveEvent) => void,
  isOver: () => boolean,
): Promise<void> {
  let from = lastSeq
  while (!isOver()) {
    const events = await bus.since(from, catchUpLimit)
    for (const event of events) send(event)
    from = events.at(-1)?.seq ?? from
    if (events.length < catchUpLimit) return
  }
}
