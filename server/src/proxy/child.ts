// What the egress proxy's process does. It has no way to the store, the keys or the disk beyond its socket folder: what it
// may do it asks the server over the channel it was started with. Of packages it loads none.
import { inBatches } from './batch.ts'
import { createBudgets } from './budgets.ts'
import { type Channel, createChannel } from './channel.ts'
import type { Ask, OpenChannel, Question, Reply, ToChild, ToServer } from './messages.ts'
import { createOpenNow } from './open-now.ts'

/** Numbers the questions, so that each reply finds the one who asked. */
function createAsk(tell: (message: ToServer) => void): {
  ask: Ask
  reply(id: number, reply: Reply<Question>): void
} {
  const waiting = new Map<number, (reply: Reply<Question>) => void>()
  let lastId = 0
  return {
    ask: (question, asked) =>
      new Promise((resolve) => {
        const id = ++lastId
        // The reply to a question is of that question's kind, which its number alone does not tell the compiler.
        waiting.set(id, resolve as (reply: Reply<Question>) => void)
        tell({ kind: 'ask', id, question, ask: asked } as ToServer)
      }),
    reply(id, reply) {
      waiting.get(id)?.(reply)
      waiting.delete(id)
    },
  }
}

/** Returns what hears the server's messages. */
export function begin(): (messages: readonly ToChild[]) => void {
  const channels = new Map<string, Channel>()
  const budgets = createBudgets()
  const tell = inBatches<ToServer>((messages) => {
    if (process.connected) process.send?.(messages)
  })
  const { ask, reply } = createAsk(tell)

  const open = async (wanted: OpenChannel): Promise<void> => {
    const { sandboxId } = wanted
    try {
      const openNow = createOpenNow((counts) => tell({ kind: 'open now', sandboxId, counts }))
      const channel = createChannel({ open: wanted, ask, now: () => new Date(), budgets, openNow })
      channels.set(sandboxId, channel)
      await channel.listen()
      tell({ kind: 'opened', sandboxId, authority: channel.authority })
    } catch (error) {
      channels.delete(sandboxId)
      const { code, name } = error as NodeJS.ErrnoException
      tell({ kind: 'failed', sandboxId, reason: code ?? name })
    }
  }
  const close = async (sandboxId: string): Promise<void> => {
    const channel = channels.get(sandboxId)
    channels.delete(sandboxId)
    await channel?.close()
    tell({ kind: 'closed', sandboxId })
  }

  const hear = (message: ToChild): void => {
    if (message.kind === 'open') void open(message.channel)
    else if (message.kind === 'close') void close(message.sandboxId)
    else if (message.kind === 'allow') channels.get(message.sandboxId)?.allow(message.allow)
    else if (message.kind === 'cut') channels.get(message.sandboxId)?.cut(message.leaseId, message.reason)
    else reply(message.id, message.reply)
  }
  return (messages) => {
    for (const message of messages) hear(message)
  }
}
