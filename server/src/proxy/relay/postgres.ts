import { randomBytes } from 'node:crypto'
import type { Duplex, Transform } from 'node:stream'
import type { RelayRule } from '../destination.ts'
import type { Limits } from '../messages.ts'
import { placeholdersIn } from '../placeholders.ts'
import type { Route } from '../route.ts'
import { openDatabase, type Prove, signIn, type Upstream } from './postgres-login.ts'
import {
  askForPassword,
  cancelRequest,
  fatal,
  followMessages,
  message,
  negotiateVersion,
  readMessage,
  readStart,
  type Start,
  signedIn,
} from './postgres-wire.ts'
import { inSeconds } from './read.ts'
import { denied, invalid, refused, unreachableFor } from './refused.ts'
import { answered, maskerFor, passOn, type Relayed, type RelayNeeds, serve, step } from './relayed.ts'

type Rule = Extract<RelayRule, { kind: 'postgres' }>
type Startup = Extract<Start, { kind: 'startup' }>
/** Cancels what runs on one connection; by the key that its client was given. */
type Cancels = Map<string, () => Promise<void>>

/** As libpq's own limit for a message of the server. */
const longestMessage = 1024 * 1024 * 1024
/** Of all that a server says between the login and its being ready; PostgreSQL says about 500 bytes. */
const longestGreeting = 256 * 1024

export function createPostgresRelay(needs: RelayNeeds) {
  const { ask, sandboxId, limits, patterns } = needs
  const cancels: Cancels = new Map()

  async function converse(relayed: Relayed, rule: Rule): Promise<void> {
    const { client, about } = relayed
    const start = await inSeconds(limits.handshakeSeconds, client, readStart(client))
    if (start.kind === 'startup') return connect(relayed, rule, start)
    about.method = 'POSTGRES CANCEL'
    await cancel(cancels, start.key)
  }

  async function connect(relayed: Relayed, rule: Rule, start: Startup): Promise<void> {
    const { client, route, about, tally } = relayed
    const { user, database } = named(start)
    about.path = `/${database}`
    about.user = user
    const placeholder = await inSeconds(limits.handshakeSeconds, client, readPlaceholder(client, start))
    tally.placeholders = 1
    const claim = { sandboxId, kind: rule.kind, placeholder, ...route.authority, user, database }
    const login = await answered(ask('signIn', claim))
    relayed.borrow(login)
    const upstream = await openDatabase(route, rule.tls, limits)
    relayed.own(upstream.socket)
    const parameters = parametersFor(start, login.username, database)
    const greeted = signIn({ upstream, parameters, prove: proverFor(login.loginId) })
    const key = randomBytes(8)
    const server = await inSeconds(
      limits.handshakeSeconds,
      upstream.socket,
      greeted.then(() => greeting(upstream, key)),
    )
    const name = key.toString('hex')
    if (server.key) cancels.set(name, () => cancelAt(route, rule, server.key ?? key, limits))
    const said = maskerFor(relayed, patterns).push(Buffer.concat(server.messages), 0)
    client.write(Buffer.concat([signedIn, said]))
    const follow = followMessages(longestMessage)
    const outward = framed()
    await passOn({ relayed, upstream: upstream.socket, patterns, follow, outward })
    cancels.delete(name)
  }

  /** A password that had to be sent is looked for in what comes back. */
  const proverFor =
    (loginId: string): Prove =>
    async (challenge) => {
      const given = await answered(ask('prove', { sandboxId, loginId, challenge }))
      if (challenge.kind === 'cleartext') patterns.add(given.text)
      return given
    }

  return (client: Duplex, route: Route, rule: Rule): Promise<void> =>
    serve(needs, {
      client,
      route,
      method: 'POSTGRES',
      work: (relayed) => converse(relayed, rule),
      say: ({ code, reason }) => fatal(stateOf(code), `Keyward: ${reason}`),
    })
}

/** Both names must be said: the lease is compared with them. */
function named({ parameters }: Startup): { user: string; database: string } {
  const user = parameters.get('user') ?? ''
  if (user === '') throw invalid('The startup packet names no user.')
  const replication = (parameters.get('replication') ?? 'off').toLowerCase()
  if (!['off', 'false', 'no', '0'].includes(replication))
    throw denied('A connection for replication is not lent.')
  return { user, database: parameters.get('database') || user }
}

/** What the client asked for stays: it could set the same afterwards. Options of newer versions of the protocol do not. */
function parametersFor({ parameters }: Startup, user: string, database: string): Map<string, string> {
  const kept = [...parameters].filter(([name]) => name !== 'replication' && !name.startsWith('_pq_.'))
  return new Map([...kept, ['user', user], ['database', database]])
}

async function readPlaceholder(client: Duplex, { minor, parameters }: Startup): Promise<string> {
  const options = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'))
  if (minor > 0 || options.length > 0) client.write(negotiateVersion(options))
  client.write(askForPassword)
  const { type, body } = await readMessage(client)
  if (type !== 'p') throw invalid('The client left the login halfway.')
  const password = body.toString('utf8').replace(/\0$/, '')
  const [placeholder] = placeholdersIn(password)
  if (placeholder === undefined || placeholder !== password)
    throw refused({ code: 'lease.not_found', reason: 'The password must be the placeholder of a lease.' })
  return placeholder
}

/** What the server says before it is ready, with a key of ours in place of the one that cancels what runs. */
async function greeting({ socket }: Upstream, key: Buffer): Promise<{ messages: Buffer[]; key?: Buffer }> {
  const messages: Buffer[] = []
  let own: Buffer | undefined
  let heldBytes = 0
  for (;;) {
    const { type, body } = await readMessage(socket)
    heldBytes += body.length + 5
    if (heldBytes > longestGreeting) throw unreachableFor('The database greets without an end.')
    if (type === 'K') own = body
    messages.push(message(type, type === 'K' ? key : body))
    // The end of an error is the end of the connection, which the client hears from the server itself.
    if (type === 'Z' || type === 'E') return own ? { messages, key: own } : { messages }
  }
}

async function cancelAt(route: Route, rule: Rule, key: Buffer, limits: Limits): Promise<void> {
  const { socket } = await openDatabase(route, rule.tls, limits)
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    socket.resume()
    socket.end(cancelRequest(key))
  })
}

async function cancel(cancels: Cancels, key: Buffer): Promise<void> {
  const known = cancels.get(key.toString('hex'))
  if (!known) throw denied('No connection of this sandbox has the key that the cancel request names.')
  await known()
}

/** A stream of the client's whose lengths are believable; the server would end the connection, too, but later. */
function framed(): Transform {
  const follow = followMessages(longestMessage)
  return step((chunk) => {
    follow(chunk)
    return chunk
  })
}

/** SQLSTATE: invalid authorization, a protocol violation, or a connection that cannot be made. */
function stateOf(code: string): string {
  if (code === 'request.invalid') return '08P01'
  return code === 'egress.unreachable' || code === 'server.internal' ? '08001' : '28000'
}
