// The egress proxy's own process. It has no way to the store, the keys or the disk beyond its socket folder: what it may do
// it asks the server over the channel it was started with, and it ends with that channel. It loads nothing but Node itself.
import { rmSync } from 'node:fs'
import type { Channel } from './channel.ts'
import type { Ask, OpenChannel, Question, Reply, ToChild, ToServer } from './messages.ts'

const [, , runtimeDir = ''] = process.argv
const channels = new Map<string, Channel>()
const waiting = new Map<number, (reply: Reply<Question>) => void>()
let lastId = 0

const tell = (message: ToServer): void => {
  if (process.connected) process.send?.(message)
}

const ask: Ask = (question, asked) =>
  new Promise((resolve) => {
    const id = ++lastId
    // Replies carry the number of their question, so the reply to a question is of that question's kind.
    waiting.set(id, resolve as (reply: Reply<Question>) => void)
    tell({ kind: 'ask', id, question, ask: asked } as ToServer)
  })

async function open(channel: OpenChannel): Promise<void> {
  const { sandboxId } = channel
  try {
    // Loaded with the first sandbox, so that an idle proxy stays small.
    const { createChannel } = await import('./channel.ts')
    const opened = createChannel({ open: channel, ask, now: () => new Date() })
    await opened.listen()
    channels.set(sandboxId, opened)
    tell({ kind: 'opened', sandboxId, authority: opened.authority })
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException
    tell({ kind: 'failed', sandboxId, reason: code ?? name })
  }
}

async function close(sandboxId: string): Promise<void> {
  const channel = channels.get(sandboxId)
  channels.delete(sandboxId)
  await channel?.close()
  tell({ kind: 'closed', sandboxId })
}

function reply(id: number, answer: Reply<Question>): void {
  waiting.get(id)?.(answer)
  waiting.delete(id)
}

process.on('message', (message: ToChild) => {
  if (message.kind === 'open') void open(message.channel)
  else if (message.kind === 'close') void close(message.sandboxId)
  else reply(message.id, message.reply)
})

process.on('disconnect', () => {
  rmSync(runtimeDir, { recursive: true, force: true })
  process.exit(0)
})

/** Signals meant for the server reach its children too (Ctrl-C in a terminal); the server says when it is over. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

/** An error's message may quote data that passed through, so only its kind and place are told. */
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  const place = error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? []
  process.stderr.write(`${error.code ?? error.name}\n${place.slice(0, 8).join('\n')}\n`)
  process.exit(70)
})

tell({ kind: 'ready' })
