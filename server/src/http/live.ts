import type { ServerResponse } from 'node:http'
import type { LiveEvent } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'

const keepAliveMilliseconds = 20_000
const catchUpLimit = 1000

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A client that was away sends the last
 * `id` it saw and gets what it missed. `ended` is called when the client leaves.
 */
export async function streamEvents(
  response: ServerResponse,
  bus: Pick<Bus, 'subscribe' | 'since'>,
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
  const send = (event: LiveEvent): void => {
    if (event.seq <= sent) return
    sent = event.seq
    response.write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`)
  }
  const end = bus.subscribe((event) => (held ? void held.push(event) : send(event)))
  const beat = setInterval(() => response.write(': still here\n\n'), keepAliveMilliseconds)
  response.on('close', () => {
    clearInterval(beat)
    end()
  })
  if (lastSeq !== undefined) for (const event of await bus.since(lastSeq, catchUpLimit)) send(event)
  const waiting = held
  held = undefined
  for (const event of waiting) send(event)
}
