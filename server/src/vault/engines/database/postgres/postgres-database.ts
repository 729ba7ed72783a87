import { AppError, type Secret } from '../../../../core/index.ts'
import type { Body } from '../../../engine.ts'
import { booleanField, countField, durationField, textField } from '../../../fields.ts'
import type { ConnectionSettings, Database, DatabaseKind } from '../database-port.ts'
import { refused } from '../failure.ts'
import { filled, plainStatements } from '../statements.ts'
import { parseNameTemplate } from '../username-template.ts'
import { hasPassword, parsePostgresAddress, withoutPassword } from './address.ts'
import { type Change, createLanes, literal, type Statements } from './lanes.ts'
import { scramVerifier, standardIterations } from './scram.ts'
import { createSessions } from './sessions.ts'

/** `postgresql-database-plugin`: roles of a PostgreSQL server, which may be Neon or any other that speaks its protocol. */
export const postgresKind: DatabaseKind = {
  fields: [
    'connection_url',
    'username',
    'password',
    'disable_escaping',
    'max_open_connections',
    'max_idle_connections',
    'max_connection_lifetime',
    'username_template',
    'password_authentication',
    'tls_ca',
    'tls_certificate',
    'private_key',
  ],
  secretFields: ['password', 'private_key'],
  open: async (settings) => openPostgres(settings),
  view: (field, value) => (field === 'connection_url' ? withoutPassword(String(value)) : value),
  warnings: (details) =>
    hasPassword(String(details['connection_url'] ?? ''))
      ? [
          'Password found in connection_url, use a templated url to enable root rotation and prevent read access to password information.',
        ]
      : [],
}

const defaultTemplate =
  '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}'
const defaultMost = 4
/** So that a clock of the database that is a little ahead does not end a password before its lease. */
const graceMilliseconds = 5000
const defaults = {
  extend: `alter role "{{name}}" valid until '{{expiration}}'`,
  setPassword: `alter role "{{name}}" with password '{{password}}'`,
}

function openPostgres({ details, password, secrets }: ConnectionSettings): Database {
  const nameOf = parseNameTemplate(textField(details, 'username_template') || defaultTemplate)
  const verifies = usesVerifier(details)
  let current = password
  const address = addressOf(details, password)
  const inUrl = address.password
  const sessions = createSessions({
    address,
    // A password that stands in the address itself is the one; `current` is what a template is filled with.
    password: () => (isTemplated(details) ? current : inUrl),
    tls: tlsOf(details, secrets),
    ...limitsOf(details),
  })
  const lanes = createLanes(sessions, limitsOf(details).most)

  /** As a verifier it stands in no log of the server; but it is not what every server wants: Neon refuses it. */
  async function sent(secret: Secret): Promise<string> {
    if (!verifies) return secret.reveal()
    const { scramIterations } = await sessions.facts()
    return scramVerifier(secret, scramIterations ?? standardIterations)
  }

  async function setPassword(
    { name, password: secret, statements }: Parameters<Database['setPassword']>[0],
    around?: Change['around'],
  ): Promise<void> {
    const plain = withDefault(plainStatements(statements), defaults.setPassword)
    const rest = statementText(plain, { ...namesOf(name), password: await sent(secret) })
    await lanes.run({ name, secrets: [secret], text: () => ({ rest }), ...(around ? { around } : {}) })
  }

  return {
    async check() {
      await sessions.run([], (session) => session('select 1'))
    },
    userName: nameOf,
    // Any of these would end or change a quoted text of SQL.
    accepts: (secret) => !/['"\\$`\p{Cc}]/u.test(secret.reveal()),
    async createUser({ name, password: secret, expiresAt, statements }) {
      const plain = plainStatements(statements)
      if (plain.length === 0) throw refused('empty creation statements')
      const values = { ...namesOf(name), password: await sent(secret), expiration: timeOf(expiresAt) }
      const text = inParts(statementText(plain, values))
      await lanes.run({ name, secrets: [secret], text: () => text })
    },
    async extendUser({ name, expiresAt, statements }) {
      const values = { ...namesOf(name), expiration: timeOf(expiresAt) }
      const text = statementText(withDefault(plainStatements(statements), defaults.extend), values)
      await lanes.run({ name, secrets: [], text: () => ({ rest: text }) })
    },
    setPassword: (user) => setPassword(user),
    changeOwnPassword: (user) =>
      setPassword(user, (send) =>
        sessions.whileNobodySignsIn(async () => {
          await send()
          current = user.password
        }),
      ),
    async removeUser({ name, statements }) {
      const plain = plainStatements(statements)
      const own = plain.length === 0 ? undefined : statementText(plain, namesOf(name))
      await lanes.run({
        name,
        secrets: [],
        text(role) {
          const rest = own ?? (role && defaultRemoval(name))
          return rest === undefined ? undefined : { rest }
        },
        // The role's own statements cannot name a role that is gone already.
        isGone: (code, role) => role === undefined && code === '42704',
        endsSessions: true,
      })
    },
    admits: ({ name, password: secret }) => sessions.admits(name, secret),
    takesPassword: isTemplated(details),
    usePassword(secret) {
      current = secret
    },
    close: sessions.close,
  }
}

/** A statement at the beginning that makes the role, as far as it is certain where it ends. */
function inParts(text: string): Statements {
  const first =
    /^\s*create\s+(?:role|user)\s+(?=\S)(?!mapping\b)(?:[^'";$/-]|"[^"]*"|'[^'\\]*'|-(?!-))*;/i.exec(
      text,
    )?.[0]
  const rest = text.slice(first?.length)
  if (first === undefined || rest.trim() === '') return { rest: text }
  return { first: first.slice(0, -1), rest }
}

/**
 * What the role owns goes to Keyward's account, so that no data is lost; what it may do, in this database and on shared objects,
 * is taken away. An account that is no superuser has to be a member of the role for that.
 */
function defaultRemoval(name: string): string {
  const role = `"${name.replaceAll('"', '""')}"`
  return (
    `do $keyward$ begin if not pg_has_role(current_user, ${literal(name)}, 'usage') then` +
    ` grant ${role} to current_user; end if; end $keyward$;\n` +
    `reassign owned by ${role} to current_user;\ndrop owned by ${role};\ndrop role if exists ${role}`
  )
}

const withDefault = (statements: readonly string[], standard: string): readonly string[] =>
  statements.length === 0 ? [standard] : statements

/** One message, so that the server itself tells where a statement ends; a comment at the end of one swallows nothing of the next. */
const statementText = (statements: readonly string[], values: Readonly<Record<string, string>>): string =>
  `${statements.map((text) => withoutEnd(filled(text, values))).join('\n;\n')}\n`

/** Without the semicolons and white space at its end. */
function withoutEnd(text: string): string {
  let end = text.length
  while (end > 0 && /[;\s]/.test(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

const namesOf = (name: string) => ({ name, username: name })
/** `2026-01-02 03:04:05+0000` */
function timeOf(at: Date): string {
  const iso = new Date(at.getTime() + graceMilliseconds).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}+0000`
}

const isTemplated = (details: Body): boolean =>
  String(details['connection_url'] ?? '').includes('{{password}}')

function addressOf(details: Body, password: Secret) {
  const url = textField(details, 'connection_url') ?? ''
  const username = textField(details, 'username') ?? ''
  if (url === '') throw new AppError('request.invalid', 'connection_url cannot be empty')
  if (/\{\{(?:username|password)\}\}/.test(`${username} ${password.reveal()}`))
    throw new AppError('request.invalid', 'username and/or password cannot contain the template variables')
  const escaped = booleanField(details, 'disable_escaping') ?? false
  return parsePostgresAddress(url, { username, password, escaped })
}

function usesVerifier(details: Body): boolean {
  const way = textField(details, 'password_authentication') || 'password'
  if (way !== 'password' && way !== 'scram-sha-256')
    throw new AppError(
      'request.invalid',
      `'${way}' is not a valid password authentication type; use "password" or "scram-sha-256"`,
    )
  return way === 'scram-sha-256'
}

function tlsOf(details: Body, secrets: ConnectionSettings['secrets']) {
  const ca = textField(details, 'tls_ca')
  const certificate = textField(details, 'tls_certificate')
  const key = secrets['private_key']
  return { ...(ca ? { ca } : {}), ...(certificate ? { certificate } : {}), ...(key ? { key } : {}) }
}

function limitsOf(details: Body): { most: number; keepIdle: boolean; lifetimeSeconds: number } {
  const idle = Number(textField(details, 'max_idle_connections') ?? 0)
  return {
    most: countField(details, 'max_open_connections') || defaultMost,
    keepIdle: !(idle < 0),
    lifetimeSeconds: durationField(details, 'max_connection_lifetime') ?? 0,
  }
}
