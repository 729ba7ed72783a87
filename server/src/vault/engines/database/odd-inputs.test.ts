// Whatever operators write, it is read or refused in words.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { AppError, Secret } from '../../../core/index.ts'
import { parseSchedule } from './cron.ts'
import { parsePostgresAddress, withoutPassword } from './postgres/address.ts'
import { postgresKind } from './postgres/postgres-database.ts'
import { redisKind } from './redis/redis-database.ts'
import { plainStatements } from './statements.ts'
import { parseNameTemplate } from './username-template.ts'

const account = { username: 'u', password: new Secret('p'), escaped: false }
const now = new Date('2026-01-01T00:00:00.000Z')

/** Pieces that mean something to one of the parsers, in any order. */
const pieces: Record<string, readonly string[]> = {
  address: [
    'postgres://',
    '{{username}}',
    '{{password}}',
    ':',
    '@',
    '/',
    '?',
    '=',
    '&',
    ',',
    '[',
    ']',
    '%',
    '%4',
    'h',
    '5432',
    ' ',
    "'",
    '\\',
    'host=',
    'user=',
    'sslmode=',
    '\u0000',
    'é',
  ],
  template: [
    '{{',
    '}}',
    '-',
    '|',
    '(',
    ')',
    '"',
    '`',
    '\\',
    '.RoleName',
    'random',
    'truncate',
    'printf',
    '%s',
    '20',
    '-1',
    ' ',
    '_',
    'timestamp',
    '99999999999',
    'x',
    '\n',
  ],
  schedule: [
    '*',
    '/',
    '-',
    ',',
    ' ',
    '0',
    '59',
    '60',
    'MON',
    'JAN',
    '?',
    '@',
    'daily',
    '1e9',
    '.',
    '-1',
    '31',
    '2',
  ],
  statement: ['[', ']', '"', ',', 'YQ==', 'IiI=', 'select 1', ';', '{{name}}', '{', '}', '\u0000', 'é'],
}
const readers: Record<string, (text: string) => unknown> = {
  address: (text) => [withoutPassword(text), parsePostgresAddress(text, account)],
  template: (text) => parseNameTemplate(text)({ displayName: text, roleName: 'r', now }),
  schedule: (text) => parseSchedule(text).next(now),
  statement: (text) => plainStatements([text]),
}

for (const [kind, read] of Object.entries(readers))
  test(`VAULT-3: any ${kind} is read or refused in words`, () => {
    const parts = pieces[kind] ?? []
    for (let round = 0; round < 5000; round++) {
      const text = Array.from({ length: randomInt(1, 14) }, () => parts[randomInt(parts.length)]).join('')
      try {
        read(text)
      } catch (error) {
        assert.ok(
          error instanceof AppError && error.code === 'request.invalid',
          `${JSON.stringify(text)}: ${error}`,
        )
      }
    }
  })

test('VAULT-3: what is much too long is refused at once', () => {
  for (const piece of ['{{', '{{-', '"', '(', 'x', '{{"']) {
    assert.throws(() => parseNameTemplate(piece.repeat(100_000)), { code: 'request.invalid' })
    assert.throws(() => parseSchedule(piece.repeat(100_000)), { code: 'request.invalid' })
    assert.throws(() => parsePostgresAddress(piece.repeat(100_000), account), { code: 'request.invalid' })
  }
})

test('VAULT-3: statements that are long for no reason are read once', async () => {
  // Nobody listens there; before they ask, the statements have been read.
  const password = new Secret('p')
  const settings = { id: 'a', password, secrets: {} }
  const url = 'postgres://u:{{password}}@127.0.0.1:1/d?sslmode=disable'
  const postgres = await postgresKind.open({ ...settings, details: { connection_url: url } })
  const redis = await redisKind.open({ ...settings, details: { host: '127.0.0.1', port: 1, username: 'u' } })
  const space = ' '.repeat(1_000_000)
  const user = { name: 'n', password, expiresAt: now }
  for (const [database, statements] of [
    [postgres, [`create role${space}x`, `create role x${space};${space}y`]],
    [redis, [`(${space})`, `~*${space}(+get${space}~a) +@read`]],
  ] as const)
    for (const statement of statements)
      await assert.rejects(database.createUser({ ...user, statements: [statement] }), {
        code: 'database.unreachable',
      })
})

test('VAULT-3: what a connection names as a file of keys is read only if it is a file', async () => {
  for (const parameter of ['sslrootcert', 'sslcert', 'sslkey'])
    for (const file of ['/dev/zero', '/dev', '/no/such/file']) {
      const url = `postgres://u:{{password}}@127.0.0.1:1/d?sslmode=verify-full&${parameter}=${file}`
      const settings = { id: 'a', password: new Secret('p'), secrets: {}, details: { connection_url: url } }
      const database = await postgresKind.open(settings)
      await assert.rejects(database.check(), { code: 'database.refused' }, `${parameter} ${file}`)
    }
})
