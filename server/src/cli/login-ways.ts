import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PassageLogin } from '@keyward/contract'
import { postgresVariables, redisVariables } from '../core/index.ts'

export type Way = { readonly port: number; close(): void }

type NewWay = {
  /** A connection to the egress proxy, on which CONNECT may be said at once. */
  dial(): Duplex
  /** Where it leads: `host:port`. */
  to: string
  /** 0: any that is free. */
  port?: number
  /** A Unix socket instead of a port. */
  socketPath?: string
}

/** A port of loopback, or a socket, that leads to one destination, for what cannot say CONNECT. Who may pass is decided behind it. */
export async function openWay({ dial, to, port = 0, socketPath }: NewWay): Promise<Way> {
  const sockets = new Set<Socket>()
  const server = createServer({ pauseOnConnect: true }, (near) => {
    sockets.add(near)
    near.once('close', () => sockets.delete(near))
    near.on('error', () => near.destroy())
    join(near, dial(), to).catch(() => near.destroy())
  })
  if (socketPath === undefined) server.listen(port, '127.0.0.1')
  else server.listen(socketPath)
  await once(server, 'listening')
  return {
    port: socketPath === undefined ? (server.address() as AddressInfo).port : 0,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const mostHeadBytes = 16_384

/** Rejects when the way is not given: a client of a database cannot be told why, the audit log can. */
async function join(near: Socket, far: Duplex, to: string): Promise<void> {
  far.on('error', () => near.destroy())
  near.once('close', () => far.destroy())
  far.once('close', () => near.end())
  far.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`)
  let heard = Buffer.alloc(0)
  while (!heard.includes('\r\n\r\n')) {
    if (heard.length > mostHeadBytes) throw new Error('a head without an end')
    await once(far, 'readable')
    heard = Buffer.concat([heard, far.read() ?? Buffer.alloc(0)])
    if (far.readableEnded) throw new Error('no answer')
  }
  if (!heard.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error('refused')
  far.unshift(heard.subarray(heard.indexOf('\r\n\r\n') + 4))
  near.pipe(far)
  far.pipe(near)
}

type Logins = {
  readonly logins: readonly PassageLogin[]
  /** By reference. */
  readonly placeholders: Readonly<Record<string, string>>
  dial(): Duplex
}

/** Ports for the logins of a command, and the variables by which its programs find them. */
export async function openLogins({ logins, placeholders, dial }: Logins) {
  const ways: Way[] = []
  const close = (): void => {
    for (const way of ways) way.close()
  }
  const variables: Record<string, string> = {}
  try {
    for (const login of logins) {
      const led: Way[] = []
      for (const to of login.to) led.push(await openWay({ dial, to }))
      ways.push(...led)
      Object.assign(variables, variablesOf(login, led[0]?.port ?? 0, placeholders[login.reference] ?? ''))
    }
  } catch (error) {
    close()
    throw error
  }
  return { variables, close }
}

function variablesOf(
  { kind, user, database }: PassageLogin,
  port: number,
  password: string,
): Record<string, string> {
  const login = { port, user, password }
  return kind === 'postgres' ? postgresVariables(login, database ?? '') : redisVariables(login)
}
