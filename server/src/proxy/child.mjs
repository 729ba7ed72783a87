// The first file of the egress proxy's process. Small and plain, so that a proxy without a sandbox costs little more than
// Node itself; what does the work is loaded with the first message. It ends with the channel to its server.
import { rmSync } from 'node:fs'

const [, , main = '', runtimeDir = ''] = process.argv
/** @type {Promise<(messages: unknown) => void> | undefined} */
let loading

// Every batch of messages waits for the same promise, so they are heard in their order.
process.on('message', async (messages) => {
  loading ??= import(main).then(({ begin }) => begin())
  const hear = await loading
  hear(messages)
})

process.on('disconnect', () => {
  rmSync(runtimeDir, { recursive: true, force: true })
  process.exit(0)
})

// Signals meant for the server reach its children too (Ctrl-C in a terminal); the server says when it is over.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

// An error's message may quote data that passed through, so only its kind and place are told.
process.on('uncaughtException', (error) => {
  const place = error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? []
  process.stderr.write(`${error.code ?? error.name}\n${place.slice(0, 8).join('\n')}\n`)
  process.exit(70)
})

process.send?.([{ kind: 'ready' }])
