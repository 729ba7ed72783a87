import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { LiveEvent } from '@keyward/contract'
import { createTestClock, type TestClock } from '../../test/support/world.ts'
import { AppError, silentLog } from '../core/index.ts'
import { streamEvents } from './live.ts'

const eventAt = (seq: number, data = ''): LiveEvent => ({
  seq,
  type: 'run.started',
  subject: 'run:1',
  at: new Date(0).toISOString(),
  data,
})

/** A stream over real sockets of a bus that holds `stored` and tells what it is told. */
async function open(t: TestContext, stored: readonly LiveEvent[], lastSeq: number | undefined) {
  const clock: TestClock = createTestClock()
  const listeners = new Set<(event: LiveEvent) => void>()
  let allowed = true
  const server = createServer((_, response) => {
    void streamEvents(
      response,
      {
        bus: {
          subscribe(hear) {
            listeners.add(hear)
            return () => listeners.delete(hear)
          },
          since: async (seq, limit) => stored.filter((event) => event.seq > seq).slice(0, limit),
        },
        clock,
        log: silentLog,
        stillAllowed: async () => {
          if (!allowed) throw new AppError('session.required')
        },
      },
      lastSeq,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const request = get({ host: '127.0.0.1', port })
  request.on('error', () => undefined)
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  return {
    answer,
    clock,
    listeners,
    tell: (event: LiveEvent) => listeners.forEach((hear) => void hear(event)),
    forbid() {
      allowed = false
    },
  }
}

async function idsUntil(answer: IncomingMessage, last: number): Promise<number[]> {
  let text = ''
  for await (const part of answer) {
    text += String(part)
    if (text.includes(`id: ${last}\n`)) break
  }
  return [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
}

test('BUS-1: who was away for long gets everything that was missed, not the first thousand of it', async (t) => {
  const stored = Array.from({ length: 2500 }, (_, i) => eventAt(i + 1))
  const { answer } = await open(t, stored, 3)
  const ids = await idsUntil(answer, 2500)
  assert.deepEqual(
    ids,
    stored.slice(3).map(({ seq }) => seq),
  )
})

test('IDENT-1: a stream ends when who listens may not any more', async (t) => {
  const { answer, clock, forbid, listeners } = await open(t, [], undefined)
  answer.resume()
  clock.advance(20_000)
  forbid()
  await new Promise((resolve) => setImmediate(resolve))
  const ended = once(answer, 'end')
  clock.advance(20_000)
  await ended
  assert.equal(listeners.size, 0)
})

test('OPS-4: a listener that does not read is let go before it fills the memory', async (t) => {
  const { answer, tell, listeners } = await open(t, [], undefined)
  answer.pause()
  let seq = 0
  for (let i = 0; i < 200 && listeners.size > 0; i++) {
    for (let n = 0; n < 10; n++) tell(eventAt(++seq, 'x'.repeat(64 * 1024)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(listeners.size, 0)
})
