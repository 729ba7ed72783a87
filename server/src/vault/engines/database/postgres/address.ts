import { AppError, Secret } from '../../../../core/index.ts'
import { filled } from '../statements.ts'

const tlsModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof tlsModes)[number]

/** Where a PostgreSQL server is and as whom to sign in: what a connection string says, in parts. */
export type PostgresAddress = {
  /** Tried in this order. A host that begins with `/` is the folder of a socket. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly user: string
  readonly password: Secret
  readonly database: string
  readonly tls: TlsMode
  /** Files on the server's machine, as libpq's parameters name them. */
  readonly files: { readonly ca?: string; readonly certificate?: string; readonly key?: string }
  readonly applicationName: string
  readonly connectSeconds: number
  readonly channelBinding: boolean
  readonly writable: boolean
  /** Settings of the session, in the form of the start-up parameter `options`. */
  readonly options: string
}

type Account = {
  readonly username: string
  readonly password: Secret
  /** The two are percent-encoded already. */
  readonly escaped: boolean
}

const defaultPort = 5432
const longestText = 4096
const connectSeconds = 10

/**
 * Reads an address as libpq documents it, as URL or as `key=value` pairs, with `{{username}}` and `{{password}}` in the place
 * of the account. The environment and files of the server's own account are never asked for what is missing.
 */
export function parsePostgresAddress(text: string, account: Account): PostgresAddress {
  if (text.length > longestText) throw invalid(`it has more than ${longestText} characters`)
  const isUrl = /^postgres(?:ql)?:\/\//.test(text)
  const values = {
    username: account.username,
    name: account.username,
    password: account.password.reveal(),
  }
  const part = (written: string): string => {
    if (!isUrl) return filled(written, values)
    if (account.escaped) return decoded(filled(written, values))
    return filled(decoded(written), values)
  }
  const written = isUrl ? urlParameters(text) : pairs(text)
  const parameters = new Map([...written].map(([name, value]) => [name, part(value)]))
  return addressFrom(parameters)
}

type Take = (name: string) => string | undefined

function addressFrom(parameters: Map<string, string>): PostgresAddress {
  const take: Take = (name) => {
    const value = parameters.get(name)
    parameters.delete(name)
    return value === '' ? undefined : value
  }
  for (const name of ['passfile', 'service', 'servicefile', 'gssencmode', 'krbsrvname'])
    if (take(name) !== undefined) throw invalid(`${name} is not supported`)
  const user = take('user')
  if (user === undefined) throw invalid('it names no user')
  const address = {
    hosts: hostsOf(take('host') ?? take('hostaddr') ?? 'localhost', take('port') ?? ''),
    user,
    password: new Secret(take('password') ?? ''),
    database: take('dbname') ?? user,
    tls: tlsModeOf(take('sslmode') ?? 'prefer'),
    files: filesOf(take),
    applicationName: take('application_name') ?? take('fallback_application_name') ?? 'keyward',
    connectSeconds: Number(take('connect_timeout') ?? 0) || connectSeconds,
    channelBinding: ['prefer', 'require'].includes(take('channel_binding') ?? ''),
    writable: needsWriting(take('target_session_attrs') ?? 'any'),
  }
  return { ...address, options: optionsOf(take('options'), parameters) }
}

function filesOf(take: Take): PostgresAddress['files'] {
  const ca = take('sslrootcert')
  const certificate = take('sslcert')
  const key = take('sslkey')
  return { ...(ca ? { ca } : {}), ...(certificate ? { certificate } : {}), ...(key ? { key } : {}) }
}

function needsWriting(session: string): boolean {
  if (!['any', 'read-write', 'primary'].includes(session))
    throw invalid('target_session_attrs is one of any, read-write, primary')
  return session !== 'any'
}

function tlsModeOf(text: string): TlsMode {
  const mode = tlsModes.find((known) => known === text)
  if (!mode) throw invalid(`sslmode is one of ${tlsModes.join(', ')}`)
  return mode
}

function hostsOf(hosts: string, ports: string): PostgresAddress['hosts'] {
  const numbers = ports.split(',')
  return hosts.split(',').map((host, at) => {
    const port = Number((numbers.length === 1 ? numbers[0] : numbers[at]) || defaultPort)
    if (host === '' || !Number.isInteger(port) || port < 1 || port > 65_535)
      throw invalid('a host or a port is not valid')
    return { host, port }
  })
}

/** What is no parameter of the connection is a setting of the session. */
function optionsOf(given: string | undefined, settings: ReadonlyMap<string, string>): string {
  const named = [...settings].map(([name, value]) => {
    if (!/^[a-z_][\w.]*$/i.test(name)) throw invalid(`"${name}" is no setting`)
    return `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`
  })
  return [...(given === undefined ? [] : [given]), ...named].join(' ')
}

const urlShape = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/

function urlParameters(text: string): Map<string, string> {
  const match = urlShape.exec(text)
  if (!match) throw invalid('it is no URL of PostgreSQL')
  const [, account = '', authority = '', database = '', query = ''] = match
  const [user = '', ...password] = account.split(':')
  const parameters = new Map([
    ['user', user],
    ['password', password.join(':')],
    ['dbname', database],
  ])
  const hosts = authority === '' ? [] : authority.split(',').map(hostAndPort)
  if (hosts.length > 0) {
    parameters.set('host', hosts.map(({ host }) => host).join(','))
    parameters.set('port', hosts.map(({ port }) => port).join(','))
  }
  for (const pair of query.split('&').filter((item) => item !== '')) {
    const at = pair.indexOf('=')
    if (at < 1) throw invalid('a parameter has no value')
    parameters.set(decoded(pair.slice(0, at)), pair.slice(at + 1))
  }
  return parameters
}

function hostAndPort(text: string): { host: string; port: string } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text)
  if (!match) throw invalid('a host is not valid')
  return { host: match[1] ?? match[2] ?? '', port: match[3] ?? '' }
}

const pairShape = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/y

function pairs(text: string): Map<string, string> {
  const parameters = new Map<string, string>()
  pairShape.lastIndex = 0
  while (pairShape.lastIndex < text.trimEnd().length) {
    const match = pairShape.exec(text)
    if (!match) throw invalid('it is neither a URL of PostgreSQL nor a list of key=value')
    const [, name = '', quoted, plain = ''] = match
    parameters.set(name, (quoted ?? plain).replace(/\\(.)/g, '$1'))
  }
  if (parameters.size === 0) throw invalid('it is empty')
  return parameters
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('a percent sign in it is not followed by two digits')
  }
}

/** The connection string as it may be shown. */
export function withoutPassword(text: string): string {
  const shown = (written: string): string => (written.includes('{{') || written === '' ? written : 'xxxxx')
  return text
    .replace(/^(\w+:\/\/[^:/?#@]*:)([^/?#]*)(@)/, (_, before: string, password: string, after: string) =>
      [before, shown(password), after].join(''),
    )
    .replace(/(\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&']*)/gi, (_, name: string, value: string) =>
      [name, shown(value)].join(''),
    )
}

export const hasPassword = (text: string): boolean => withoutPassword(text) !== text

// Never the text itself: it may hold a password.
const invalid = (what: string): AppError => new AppError('request.invalid', `connection_url: ${what}`)
