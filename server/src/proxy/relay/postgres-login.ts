import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Challenge, Limits } from '../messages.ts'
import type { Route } from '../route.ts'
import { dial, secure } from './dial.ts'
import {
  errorFields,
  int32,
  type Message,
  message,
  passwordMessage,
  readMessage,
  sslRequest,
  startupMessage,
} from './postgres-wire.ts'
import { take } from './read.ts'
import { denied, refused, unreachableFor } from './refused.ts'
import { clientFirst, isVerified } from './scram.ts'

export type Upstream = { readonly socket: Duplex; readonly isSecure: boolean }

/** A connection to the database, in TLS where the rule says so: a server that declines it is not spoken to. */
export async function openDatabase(route: Route, tls: 'verify' | 'none', limits: Limits): Promise<Upstream> {
  const socket = await dial(route, limits)
  if (tls === 'none') return { socket, isSecure: false }
  try {
    socket.write(sslRequest)
    const answer = (await take(socket, 1)).toString('latin1')
    if (answer !== 'S')
      throw unreachableFor(`${route.authority.host} offers no TLS, which the lease asks for.`)
    // What came with the answer was sent by somebody in the middle, before TLS.
    if (socket.readableLength > 0) throw unreachableFor('The database sent bytes in front of TLS.')
    return { socket: await secure(socket, route, limits), isSecure: true }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

export type Prove = (challenge: Challenge) => Promise<{ text: string; verifier: string }>

type Login = {
  readonly upstream: Upstream
  readonly parameters: ReadonlyMap<string, string>
  readonly prove: Prove
}

/** Signs in; returns when the server has said yes. Messages that follow are unread. */
export async function signIn({ upstream, parameters, prove }: Login): Promise<void> {
  const { socket, isSecure } = upstream
  socket.write(startupMessage(parameters))
  for (;;) {
    const asked = await readMessage(socket)
    if (asked.type === 'E') throw refusedByServer(asked.body)
    if (asked.type !== 'R') continue
    const method = asked.body.readInt32BE()
    if (method === 10) return scram(socket, asked.body.subarray(4), prove)
    socket.write(passwordMessage((await prove(simpleChallenge(method, asked.body, isSecure))).text))
    return expectWelcome(await readMessage(socket))
  }
}

/** Ways that do not prove that the server is the right one: TLS must have done it. */
function simpleChallenge(method: number, body: Buffer, isSecure: boolean): Challenge {
  if (method === 0) throw denied('The database asks for no password: what was lent is not needed there.')
  if (!isSecure) throw denied('Outside of TLS the database must offer SCRAM-SHA-256.')
  if (method === 5) return { kind: 'md5', salt: body.subarray(4, 8) }
  if (method === 3) return { kind: 'cleartext' }
  throw denied('The database asks for a way of signing in that is not supported.')
}

async function scram(socket: Duplex, methods: Buffer, prove: Prove): Promise<void> {
  if (!methods.toString('latin1').split('\0').includes('SCRAM-SHA-256'))
    throw denied('The database does not offer SCRAM-SHA-256.')
  const first = clientFirst(randomBytes(18).toString('base64'))
  socket.write(message('p', 'SCRAM-SHA-256\0', int32(Buffer.byteLength(first.message)), first.message))
  const serverFirst = textOf(await readMessage(socket), 11)
  const { text, verifier } = await prove({ kind: 'scram', clientFirstBare: first.bare, serverFirst })
  socket.write(message('p', text))
  if (!isVerified(textOf(await readMessage(socket), 12), verifier))
    throw unreachableFor('The database did not show that it knows the password.')
  expectWelcome(await readMessage(socket))
}

function textOf({ type, body }: Message, method: number): string {
  if (type === 'E') throw refusedByServer(body)
  if (type !== 'R' || body.readInt32BE() !== method)
    throw unreachableFor('The database left the login halfway.')
  return body.toString('utf8', 4)
}

function expectWelcome({ type, body }: Message): void {
  if (type === 'E') throw refusedByServer(body)
  if (type !== 'R' || body.readInt32BE() !== 0) throw unreachableFor('The database left the login halfway.')
}

/** Its code and words, which name the role and the database, never a password. */
function refusedByServer(body: Buffer): Error {
  const fields = errorFields(body)
  return refused({
    code: 'egress.unreachable',
    reason: `The database refused the login (${fields.get('C') ?? ''}): ${(fields.get('M') ?? '').slice(0, 200)}`,
  })
}
