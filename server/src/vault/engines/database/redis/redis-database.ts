import { createHash } from 'node:crypto'
import { AppError, reasonOf, Secret } from '../../../../core/index.ts'
import type { Body } from '../../../engine.ts'
import { booleanField, countField, textField } from '../../../fields.ts'
import type { ConnectionSettings, Database, DatabaseKind, NameParts } from '../database-port.ts'
import { refused, signInRefused, unreachable, withoutSecrets } from '../failure.ts'
import { plainStatements } from '../statements.ts'
import { randomName } from '../username-template.ts'
import { connectRedis, type RedisConnection, type RedisServer } from './connection.ts'
import { isError, type Reply } from './replies.ts'

/** `redis-database-plugin`, and `valkey-database-plugin` as OpenBao calls it: users of the ACL of a Redis or Valkey server. */
export const redisKind: DatabaseKind = {
  fields: [
    'host',
    'port',
    'username',
    'password',
    'tls',
    'insecure_tls',
    'ca_cert',
    'persistence_mode',
    'connection_url',
  ],
  secretFields: ['password'],
  open: async (settings) => openRedis(settings),
  view: (field, value) =>
    field === 'connection_url' ? String(value).replace(/(:\/\/[^:/@]*:)[^@]*@/, '$1xxxxx@') : value,
  warnings: () => [],
}

const defaultRules = ['~*', '+@read']
const longestName = 100

type Target = {
  readonly server: RedisServer
  readonly username: string
  readonly password: Secret | undefined
  /** How users are kept over a restart of the server: as it does by itself when empty. */
  readonly persistence: '' | 'REWRITE' | 'ACLFILE'
}

function openRedis({ id, details, password }: ConnectionSettings): Database {
  const target = targetOf(details)
  let current = password
  const rootPassword = (): Secret => target.password ?? current
  // The same in every process, so that what an earlier one left is known.
  const ownName = `keyward-${createHash('sha256').update(id).digest('hex').slice(0, 24)}`
  let connection: Promise<RedisConnection> | undefined
  /** How many wait for an answer. */
  let waiting = 0
  /** Who still comes is served, and what is opened for them ends with them. */
  let closed = false

  async function open(): Promise<RedisConnection> {
    const opened = await connectRedis(target.server)
    const secret = rootPassword()
    const signedIn = await opened.send('AUTH', target.username, secret.reveal())
    if (isError(signedIn)) {
      opened.close()
      throw signInRefused(`Redis does not let Keyward in: ${withoutSecrets(signedIn.error, [secret])}`)
    }
    await endLost(opened, ownName)
    return opened
  }

  /** One for all: a second one would end the first, as something that was left. */
  async function connected(): Promise<RedisConnection> {
    const known = connection
    if (known && (await known.then((one) => one.isOpen()).catch(() => false))) return known
    if (connection === known) connection = open()
    return connection ?? connected()
  }

  async function command(secrets: readonly Secret[], ...words: readonly string[]): Promise<Reply> {
    let reply: Reply
    waiting++
    try {
      reply = await (await connected()).send(...words)
    } catch (error) {
      if (error instanceof AppError) throw error
      throw unreachable(
        `Redis cannot be reached: ${withoutSecrets(reasonOf(error), [...secrets, rootPassword()])}`,
      )
    } finally {
      waiting--
      endUnused()
    }
    if (!isError(reply)) return reply
    throw refused(`Redis says: ${withoutSecrets(reply.error, [...secrets, rootPassword()])}`)
  }

  function endUnused(): void {
    if (!closed || waiting > 0) return
    // What could not be opened has nothing to end.
    connection?.then((known) => known.close()).catch(() => undefined)
    connection = undefined
  }

  async function persist(): Promise<void> {
    if (target.persistence === 'REWRITE') await command([], 'CONFIG', 'REWRITE')
    if (target.persistence === 'ACLFILE') await command([], 'ACL', 'SAVE')
  }

  async function setPassword({ name, password: secret }: { name: string; password: Secret }): Promise<void> {
    if ((await command([], 'ACL', 'GETUSER', name)) === null) throw refused(`Redis has no user ${name}`)
    await command([secret], 'ACL', 'SETUSER', name, 'resetpass', hashed(secret))
    await persist()
  }

  return {
    async check() {
      const reply = await command([], 'ACL', 'WHOAMI')
      if (reply !== target.username) throw refused('Redis signed Keyward in as somebody else')
    },
    userName,
    accepts: () => true,
    async createUser({ name, password: secret, statements }) {
      await command([secret], 'ACL', 'SETUSER', name, 'reset', 'on', hashed(secret), ...rulesOf(statements))
      await persist()
    },
    // Users of Redis have no end of their own: the lease's end removes them.
    extendUser: async () => undefined,
    setPassword,
    async changeOwnPassword(user) {
      // On the one connection that there is: nobody signs in meanwhile.
      await setPassword(user)
      current = user.password
    },
    async removeUser({ name }) {
      await command([], 'ACL', 'DELUSER', name)
      await persist()
    },
    admits: (user) => signsIn(target.server, user),
    takesPassword: target.password === undefined,
    usePassword(secret) {
      current = secret
    },
    close() {
      closed = true
      endUnused()
    },
  }
}

async function signsIn(
  server: RedisServer,
  { name, password }: { name: string; password: Secret },
): Promise<boolean> {
  const why = (error: string): AppError =>
    unreachable(`Redis cannot be asked who may sign in: ${withoutSecrets(error, [password])}`)
  const connection = await connectRedis(server).catch((error: unknown) => {
    throw why(reasonOf(error))
  })
  try {
    const reply = await connection.send('AUTH', name, password.reveal())
    if (!isError(reply)) return true
    if (!reply.error.startsWith('WRONGPASS')) throw why(reply.error)
    return false
  } catch (error) {
    throw error instanceof AppError ? error : why(reasonOf(error))
  } finally {
    connection.close()
  }
}

/**
 * Ends what is left of earlier connections, of this process or of one that died: a command that such a one had sent is then
 * carried out before anything that this one says, or never. So no user comes into being after it was removed.
 */
async function endLost(connection: RedisConnection, ownName: string): Promise<void> {
  const own = await connection.send('CLIENT', 'ID')
  const clients = await connection.send('CLIENT', 'LIST')
  // An account that may not see or end connections does without; its users are removed all the same.
  if (isError(own) || isError(clients)) return
  for (const line of String(clients).split('\n')) {
    const id = /^id=(\d+) /.exec(line)?.[1]
    if (id !== undefined && id !== String(own) && line.includes(` name=${ownName} `))
      await connection.send('CLIENT', 'KILL', 'ID', id)
  }
  await connection.send('CLIENT', 'SETNAME', ownName)
}

/** The SHA-256 of a password is what Redis stores, and takes: so it stands in no log and no monitor. */
const hashed = (secret: Secret): string => `#${createHash('sha256').update(secret.reveal()).digest('hex')}`

function userName({ displayName, roleName, now }: NameParts): string {
  const plain = (text: string): string => text.replace(/[^\w.@-]/g, '_').slice(0, 64)
  const parts = ['v', plain(displayName), plain(roleName), randomName(20), Math.floor(now.getTime() / 1000)]
  // What makes it unique stays when the rest is cut.
  const [prefix, display, role, ...unique] = parts
  const tail = unique.join('_')
  return `${[prefix, display, role]
    .filter((part) => part !== '')
    .join('_')
    .slice(0, longestName - tail.length - 1)}_${tail}`.toUpperCase()
}

/** At white space, but for what stands in parentheses, which is one rule. */
function splitRules(text: string): string[] {
  const rules: string[][] = []
  let isInside = false
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    if (isInside) rules.at(-1)?.push(word)
    else rules.push([word])
    isInside = (isInside || word.startsWith('(')) && !word.endsWith(')')
  }
  return rules.map((words) => words.join(' '))
}

/** A JSON list in one text, or one rule a text. */
function rulesOf(statements: readonly string[]): readonly string[] {
  const rules = plainStatements(statements).flatMap(splitRules)
  const harmful = rules.find((rule) => /^(?:[>#<!]|on$|off$|reset$|resetpass$|nopass$)/i.test(rule))
  if (harmful !== undefined)
    throw refused(
      `the rule "${harmful.slice(0, 1)}…" is about the password or the state of the user, which are Keyward's`,
    )
  return rules.length === 0 ? defaultRules : rules
}

function targetOf(details: Body): Target {
  const url = textField(details, 'connection_url') ?? ''
  const base = url === '' ? fromFields(details) : fromUrl(details, url)
  const persistence = (textField(details, 'persistence_mode') ?? '').toUpperCase()
  if (persistence !== '' && persistence !== 'REWRITE' && persistence !== 'ACLFILE')
    throw invalid(`persistence_mode can only be 'REWRITE' or 'ACLFILE', not ${persistence}`)
  const { host, port, secure, username, password } = base
  const server = { host, port, ...(secure ? { tls: tlsOf(details, host) } : {}) }
  return { server, username, password, persistence }
}

function fromFields(details: Body) {
  const host = textField(details, 'host') ?? ''
  const port = countField(details, 'port') ?? 0
  const username = textField(details, 'username') ?? ''
  if (host === '') throw invalid('host cannot be empty')
  if (port === 0) throw invalid('port cannot be empty')
  if (username === '') throw invalid('username cannot be empty')
  return { host, port, username, secure: booleanField(details, 'tls') ?? false, password: undefined }
}

function fromUrl(details: Body, text: string) {
  if (details['host'] || details['port'] || details['username'] || details['tls'])
    throw invalid('cannot specify both connection_url and individual connection parameters')
  if (!URL.canParse(text)) throw invalid('error parsing connection_url')
  const url = new URL(text)
  if (!/^(?:redis|valkey)s?:$/.test(url.protocol))
    throw invalid('connection_url begins with redis:// or valkey://')
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 6379),
    username: decodeURIComponent(url.username) || 'default',
    secure: /^(?:rediss|valkeys):$/.test(url.protocol),
    password: new Secret(decodeURIComponent(url.password)),
  }
}

function tlsOf(details: Body, host: string) {
  const ca = textField(details, 'ca_cert') ?? ''
  const unverified = booleanField(details, 'insecure_tls') ?? false
  if (ca === '' && !unverified) throw invalid('ca_cert cannot be empty')
  const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  return { ...name, ...(ca === '' ? {} : { ca }), rejectUnauthorized: !unverified }
}

const invalid = (what: string): AppError => new AppError('request.invalid', what)
