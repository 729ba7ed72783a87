import type { Duplex } from 'node:stream'
import { readClientHello } from './client-hello.ts'
import type { Limits, Report } from './messages.ts'
import { dial } from './relay/dial.ts'
import type { Route } from './route.ts'
import type { Underway } from './underway.ts'
import { unreachable } from './upstream.ts'

/** What is known of it in the end. */
export type PassedThrough = Pick<Report, 'outcome' | 'reason' | 'bytesOut' | 'bytesIn'>

type Needs = {
  readonly limits: Limits
  readonly underway: Underway
  report(what: PassedThrough): void
}
type Ending = Pick<Report, 'outcome' | 'reason'>

/** Whether the list lets this tunnel through unseen: every rule for it must say so, for what one looks into is looked into. */
export const isPassedThrough = ({ rules }: Pick<Route, 'rules'>): boolean =>
  rules.length > 0 && rules.every(({ tls }) => tls === 'pass-through')

const seen: Ending = { outcome: 'allowed', reason: 'It was passed through without being looked into.' }

/** Passes TLS on as it is, after the name in its greeting was compared with the tunnel's. Nothing is lent for such a place. */
export function passThrough(client: Duplex, route: Route, { limits, underway, report }: Needs): void {
  const bytes = { bytesOut: 0, bytesIn: 0 }
  let upstream: Duplex | undefined
  let ending: Ending | undefined
  const passage = underway.begin((reason) => end({ outcome: 'denied', reason }))

  function end(why: Ending): void {
    if (ending) return
    ending = why
    passage.end()
    clearTimeout(late)
    client.destroy()
    upstream?.destroy()
    report({ ...why, ...bytes })
  }
  const late = setTimeout(
    () => end({ outcome: 'denied', reason: 'The client did not greet in time.' }),
    limits.handshakeSeconds * 1000,
  )
  route.agent.destroy()
  client.once('close', () => end(upstream ? seen : { outcome: 'failed', reason: 'The client left.' }))

  const open = async (greeting: Buffer): Promise<void> => {
    const socket = await dial(route, limits)
    upstream = socket
    if (ending) return void socket.destroy()
    socket.setTimeout(limits.idleSeconds * 1000, () => end(seen))
    // What it said last is still on its way to the client.
    socket.once('close', () => client.end(() => end(seen)))
    bytes.bytesOut += greeting.length
    socket.write(greeting)
    client.on('data', (chunk: Buffer) => {
      bytes.bytesOut += chunk.length
    })
    socket.on('data', (chunk: Buffer) => {
      bytes.bytesIn += chunk.length
    })
    client.pipe(socket).pipe(client)
  }

  let greeting: Buffer = Buffer.alloc(0)
  const hear = (chunk: Buffer): void => {
    greeting = Buffer.concat([greeting, chunk])
    const hello = readClientHello(greeting)
    if (hello === 'more') return
    clearTimeout(late)
    client.off('data', hear)
    client.pause()
    const { host } = route.authority
    if (hello?.serverName !== host || hello.isEncrypted) {
      const reason = `The TLS greeting does not name ${host}, and that alone, in the clear.`
      end({ outcome: 'misused', reason })
      return
    }
    open(greeting).catch((error: Error) =>
      end({ outcome: 'failed', reason: unreachable(route, error).reason }),
    )
  }
  client.on('data', hear)
}
