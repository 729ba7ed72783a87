import { createConnection } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { createReplyReader, type Reply } from './replies.ts'

/** One socket to a Redis server. The few commands of ACLs need no client library, which would take 28 MB of memory. */
export type RedisConnection = {
  /** Resolves with the answer, also with one that is an error; rejects when the connection breaks. */
  send(...words: readonly string[]): Promise<Reply>
  isOpen(): boolean
  close(): void
}

export type RedisServer = {
  readonly host: string
  readonly port: number
  /** Absent: without TLS. */
  readonly tls?: ConnectionOptions
}

const answerMilliseconds = 10_000
type Waiting = { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void }

export async function connectRedis({ host, port, tls }: RedisServer): Promise<RedisConnection> {
  const waiting: Waiting[] = []
  const socket = tls ? connectTls({ ...tls, host, port }) : createConnection({ host, port })
  socket.setNoDelay(true)
  let open = true
  const fail = (error: Error): void => {
    open = false
    socket.destroy()
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  const read = createReplyReader((reply) => waiting.shift()?.resolve(reply))
  socket.on('data', (chunk: Buffer) => {
    try {
      read(chunk)
    } catch (error) {
      fail(error instanceof Error ? error : new Error('the answer cannot be read'))
    }
  })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the connection was closed')))
  // Counts only while something is waited for.
  socket.on('timeout', () => waiting.length > 0 && fail(new Error('there was no answer in time')))
  const connection: RedisConnection = {
    send: (...words) =>
      new Promise((resolve, reject) => {
        if (!open) return reject(new Error('the connection is closed'))
        socket.setTimeout(answerMilliseconds)
        const done = (settle: () => void): void => {
          if (waiting.length === 0) socket.setTimeout(0)
          settle()
        }
        waiting.push({
          resolve: (reply) => done(() => resolve(reply)),
          reject: (error) => done(() => reject(error)),
        })
        socket.write(encoded(words))
      }),
    isOpen: () => open,
    close: () => fail(new Error('the connection is closed')),
  }
  await connected(socket, tls ? 'secureConnect' : 'connect', host, port)
  socket.unref()
  return connection
}

function connected(
  socket: ReturnType<typeof createConnection>,
  event: string,
  host: string,
  port: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.setTimeout(answerMilliseconds)
    const slow = (): void => {
      socket.destroy(new Error(`${host}:${port} did not answer in time`))
    }
    socket.once('timeout', slow)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`${host}:${port} closed the connection`)))
    socket.once(event, () => {
      socket.setTimeout(0)
      socket.off('timeout', slow)
      resolve()
    })
  })
}

function encoded(words: readonly string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  return `*${words.length}\r\n${parts.join('')}`
}
