// Whatever operators write, it is read or refused in words.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { AppError, Secret } from '../../../core/index.ts'
import { parseSchedule } from './cron.ts'
import { parsePostgresAddress, withoutPassword } from './postgres/address.ts'
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
