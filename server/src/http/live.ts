import type { ServerResponse } from 'node:http'
import type { LiveEvent } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import { reasonOf } from '../core/index.ts'
import { openEventStream, type StreamNeeds } from './event-stream.ts'

const catchUpLimit = 1000

type Needs = StreamNeeds & { bus: Pick<Bus, 'subscribe' | 'since'> }

/** Everything that happens on the server; from `lastSeq` on, when that is known. */
export async function streamEvents(
  response: ServerResponse,
  { bus, ...needs }: Needs,
  lastSeq: number | undefined,
): Promise<void> {
  let sent = lastSeq ?? 0
  let held: LiveEvent[] | undefined = []
  const send = (event: LiveEvent): void => {
    if (event.seq <= sent) return
    sent = event.seq
    stream.send(event.seq, event)
  }
  const unsubscribe = bus.subscribe((event) => (held ? void held.push(event) : send(event)))
  const stream = openEventStream(response, needs, unsubscribe)
  try {
    if (lastSeq !== undefined) await catchUp(bus, lastSeq, send, stream.isOver)
  } catch (error) {
    // The answer has begun, so nothing can be said any more; the client asks again.
    needs.log.warn({ reason: reasonOf(error) }, 'a live stream could not catch up')
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
