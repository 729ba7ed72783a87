import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Limits } from '../messages.ts'
import { pinned, type Route } from '../route.ts'

/** A connection to one of the addresses that were checked. Rejects with Node's error. */
export async function dial({ authority, target }: Route, limits: Limits): Promise<Socket> {
  const { addresses, port } = target
  const host = isIP(authority.host) === 0 ? authority.host : (addresses[0] ?? '')
  const socket = connect({ host, port, lookup: pinned(addresses), autoSelectFamily: true })
  const late = setTimeout(
    () => socket.destroy(new Error('no connection in time')),
    limits.connectSeconds * 1000,
  )
  try {
    await once(socket, 'connect')
  } finally {
    clearTimeout(late)
  }
  socket.setNoDelay(true)
  socket.setKeepAlive(true)
  // Heard by who works with the socket, through its end; unheard it would end the process.
  socket.on('error', () => socket.destroy())
  return socket
}

/** TLS on a connection, verified like any client's: the chain, and the name that the tunnel was asked for. */
export async function secure(socket: Socket, { tls }: Route, limits: Limits): Promise<TLSSocket> {
  const secured = connectTls({ ...tls, socket })
  const late = setTimeout(() => secured.destroy(new Error('no TLS in time')), limits.handshakeSeconds * 1000)
  try {
    await once(secured, 'secureConnect')
  } finally {
    clearTimeout(late)
  }
  secured.on('error', () => secured.destroy())
  return secured
}
