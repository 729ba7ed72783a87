import { createHash } from 'node:crypto'
import { AppError, type Secret } from '../../../../core/index.ts'
import type { Body } from '../../../engine.ts'
import { booleanField, countField, durationField, textField } from '../../../fields.ts'
import type { ConnectionSettings, Database, DatabaseKind } from '../database-port.ts'
import { refused } from '../failure.ts'
import { filled, plainStatements } from '../statements.ts'
import { parseNameTemplate } from '../username-template.ts'
import { hasPassword, parsePostgresAddress, withoutPassword } from './address.ts'
import { scramVerifier } from './scram.ts'
import { createSessions, type Session } from './sessions.ts'

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
const statementMilliseconds = 30_000
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
  const secretText = async (secret: Secret): Promise<string> =>
    verifies ? scramVerifier(secret) : secret.reveal()

  /**
   * In one transaction. Who makes a user and who removes it take the same lock first, and the statements are sent when the lock
   * is held: so removing waits for a user that a process, now dead, had just asked for, and none comes into being afterwards.
   */
  async function inTransaction<T>(
    name: string,
    secret: Secret | undefined,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    return sessions.run(secret ? [secret] : [], async (session) => {
      await session(
        `begin; set local statement_timeout = ${statementMilliseconds};` +
          ` set local idle_in_transaction_session_timeout = ${statementMilliseconds};` +
          ` select pg_advisory_xact_lock(${lockOf(name)})`,
      )
      return work(session)
    })
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
      const values = { ...namesOf(name), password: await secretText(secret), expiration: timeOf(expiresAt) }
      const text = statementText(plain, values)
      await inTransaction(name, secret, (session) => session(`${text};\ncommit`))
    },
    async extendUser({ name, expiresAt, statements }) {
      const values = { ...namesOf(name), expiration: timeOf(expiresAt) }
      const text = statementText(withDefault(plainStatements(statements), defaults.extend), values)
      await sessions.run([], (session) => session(`begin;\n${text};\ncommit`))
    },
    async setPassword({ name, password: secret, statements }) {
      const values = { ...namesOf(name), password: await secretText(secret) }
      const text = statementText(withDefault(plainStatements(statements), defaults.setPassword), values)
      await inTransaction(name, secret, (session) => session(`${text};\ncommit`))
    },
    async removeUser({ name, statements }) {
      const plain = plainStatements(statements)
      await inTransaction(name, undefined, (session) => remove(session, name, plain))
    },
    takesPassword: isTemplated(details),
    usePassword(secret) {
      current = secret
    },
    close: sessions.close,
  }
}

/** Ends the role, then its sessions: a session outlives its role, and would go on. */
async function remove(session: Session, name: string, statements: readonly string[]): Promise<void> {
  const [role] = await session(`select oid from pg_roles where rolname = ${literal(name)}`)
  const oid = role ? Number(role['oid']) : undefined
  if (statements.length === 0 && oid === undefined) {
    await session('rollback')
    return
  }
  const text = statements.length === 0 ? defaultRemoval(name) : statementText(statements, namesOf(name))
  try {
    await session(`${text};\ncommit${oid === undefined ? '' : `;\n${endSessions(oid)}`}`)
  } catch (error) {
    // The role's own statements cannot name a role that is gone already, which is what they are for.
    const gone = error instanceof Error && 'code' in error && error.code === '42704'
    if (!gone || oid !== undefined) throw error
    await session('rollback')
  }
}

/**
 * What the role owns goes to Keyward's account, so that no data is lost; what it may do, in this database and on shared objects,
 * is taken away. An account that is no superuser has to be a member of the role for that.
 */
function defaultRemoval(name: string): string {
  const role = identifier(name)
  return (
    `do $keyward$ begin if not pg_has_role(current_user, ${literal(name)}, 'usage') then` +
    ` grant ${role} to current_user; end if; end $keyward$;\n` +
    `reassign owned by ${role} to current_user;\ndrop owned by ${role};\ndrop role if exists ${role}`
  )
}

/** Only where the account may end sessions of others; otherwise they end when their client goes. */
const endSessions = (oid: number): string =>
  `select pg_terminate_backend(pid) from pg_stat_activity where usesysid = ${oid} and pid <> pg_backend_pid()` +
  ` and pg_has_role(current_user, 'pg_signal_backend', 'usage')`

const withDefault = (statements: readonly string[], standard: string): readonly string[] =>
  statements.length === 0 ? [standard] : statements

/** One message, so that the server itself tells where a statement ends; a comment at the end of one swallows nothing of the next. */
const statementText = (statements: readonly string[], values: Readonly<Record<string, string>>): string =>
  `${statements.map((text) => filled(text, values).replace(/[;\s]+$/, '')).join('\n;\n')}\n`

const namesOf = (name: string) => ({ name, username: name })
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
const identifier = (text: string): string => `"${text.replaceAll('"', '""')}"`

/** `2026-01-02 03:04:05+0000` */
function timeOf(at: Date): string {
  const iso = new Date(at.getTime() + graceMilliseconds).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}+0000`
}

/** A lock that only those take who mean the same user. */
const lockOf = (name: string): string =>
  createHash('sha256').update(`keyward user\0${name}`).digest().readBigInt64BE().toString()

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
