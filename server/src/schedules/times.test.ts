import assert from 'node:assert/strict'
import { test } from 'node:test'
import { knownZone, nextTime } from './times.ts'

const next = (cron: string, zone: string, after: string): string =>
  nextTime(cron, zone, new Date(after)).toISOString()

test('DISC-7: a schedule of cron is due in its own time zone, strictly later', () => {
  assert.equal(next('0 3 * * *', 'UTC', '2026-11-21T02:59:59.999Z'), '2026-11-21T03:00:00.000Z')
  assert.equal(next('0 3 * * *', 'UTC', '2026-11-21T03:00:00.000Z'), '2026-11-22T03:00:00.000Z')
  assert.equal(next('0 3 * * *', 'Europe/Zurich', '2026-11-21T00:00:00Z'), '2026-11-21T02:00:00.000Z')
  assert.equal(next('0 3 * * 1-5', 'Asia/Tokyo', '2026-11-20T20:00:00Z'), '2026-11-22T18:00:00.000Z')
  assert.equal(next('@daily', 'UTC', '2026-11-21T03:00:00.000Z'), '2026-11-22T00:00:00.000Z')
})

test('DISC-7: a time that the clocks skip is taken right after the gap, one that comes twice is taken once', () => {
  assert.equal(next('30 2 * * *', 'Europe/Zurich', '2027-03-27T12:00:00Z'), '2027-03-28T01:00:00.000Z')
  assert.equal(next('30 2 * * *', 'Europe/Zurich', '2026-10-24T12:00:00Z'), '2026-10-25T00:30:00.000Z')
  assert.equal(next('30 2 * * *', 'Europe/Zurich', '2026-10-25T00:30:00Z'), '2026-10-26T01:30:00.000Z')
})

test('DISC-7: what is no schedule, never comes, or is no time zone is refused', () => {
  for (const cron of ['', 'often', '61 * * * *', '* * * * * *', '* * * *', '0 0 31 2 *', '@reboot'])
    assert.throws(() => next(cron, 'UTC', '2026-11-21T00:00:00Z'), { code: 'request.invalid' }, cron)
  for (const zone of ['Mars/Base', '', '../UTC'])
    assert.throws(() => next('0 3 * * *', zone, '2026-11-21T00:00:00Z'), { code: 'request.invalid' }, zone)
  assert.throws(() => knownZone('Nowhere'), { code: 'request.invalid' })
})
