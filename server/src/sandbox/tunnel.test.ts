import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { cleanUp } from '../../test/support/clean-up.ts'
import { createFrameReader } from './frames.ts'
import { createTunnel } from './tunnel.ts'

test('SAND-2: a guest that asks for connections without reading what it is told is made to wait', async (t) => {
  const socketPath = `\0keyward-test-${randomBytes(8).toString('hex')}`
  const server = createServer((socket) => socket.on('error', () => undefined).resume())
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  cleanUp(t, () => void server.close())
  // Takes one write and is never ready for another.
  const channel = new Duplex({ read: () => undefined, write: () => undefined, highWaterMark: 1024 })
  const tunnel = createTunnel(channel, createFrameReader(channel), socketPath)
  cleanUp(t, () => tunnel.close())
  let heard = 0
  const asking = (async () => {
    for (let id = 0; id < 20_000; id++) {
      await tunnel.hear({ kind: 'connect', id })
      heard++
    }
  })()
  // What would be heard at once has been after so many turns.
  for (let turn = 0; turn < 1000; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(heard < 1000, `heard ${heard}`)
  assert.ok(channel.writableLength < 4096, `${channel.writableLength} bytes wait`)
  channel.destroy()
  await asking
})
