import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSchedule } from './cron.ts'

const next = (schedule: string, after: string): string =>
  parseSchedule(schedule).next(new Date(after)).toISOString()

test('VAULT-3: a schedule of cron says when the next change is, in UTC', () => {
  const cases: [string, string, string][] = [
    ['* * * * *', '2026-01-01T00:00:30Z', '2026-01-01T00:01:00.000Z'],
    ['0 0 * * SAT', '2026-11-21T00:00:00Z', '2026-11-28T00:00:00.000Z'],
    ['0 0 * * 6', '2026-11-20T12:00:00Z', '2026-11-21T00:00:00.000Z'],
    ['0 0 * * 7', '2026-11-21T12:00:00Z', '2026-11-22T00:00:00.000Z'],
    ['*/15 9-17 * * MON-FRI', '2026-11-20T17:50:00Z', '2026-11-23T09:00:00.000Z'],
    ['30 5,17 1 JAN,jul *', '2026-01-01T05:30:00Z', '2026-01-01T17:30:00.000Z'],
    ['0 0 29 2 *', '2096-03-01T00:00:00Z', '2104-02-29T00:00:00.000Z'],
    ['0 12 13 * FRI', '2026-11-01T00:00:00Z', '2026-11-06T12:00:00.000Z'],
    ['10/20 * * * ?', '2026-01-01T00:31:00Z', '2026-01-01T00:50:00.000Z'],
    ['@daily', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00.000Z'],
    ['@yearly', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00.000Z'],
  ]
  for (const [schedule, after, expected] of cases) assert.equal(next(schedule, after), expected, schedule)
})

test('VAULT-3: what is no schedule is refused, also a day that never comes', () => {
  for (const schedule of [
    '',
    '* * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    'x * * * *',
  ])
    assert.throws(() => parseSchedule(schedule), { code: 'request.invalid' }, schedule)
  for (const schedule of ['5-1 * * * *', '*/0 * * * *', '1-2-3/x * * * *', '0 0 31 2 *', '0 0 * XYZ *'])
    assert.throws(() => parseSchedule(schedule), { code: 'request.invalid' }, schedule)
})
