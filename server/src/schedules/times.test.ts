import assert from 'node:assert/strict'
import { test } from 'node:test'
import { knownZone, latestTimes, nextTime } from './times.ts'

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

/** All times of a stretch, shortened to day, hour and minute, found forwards and backwards alike. */
function timesIn(cron: string, timeZone: string, [after, until]: readonly [string, string]): string[] {
  const found: Date[] = []
  let time = nextTime(cron, timeZone, new Date(after))
  while (time <= new Date(until)) {
    found.push(time)
    time = nextTime(cron, timeZone, time)
  }
  const span = { from: new Date(Date.parse(after) + 1), now: new Date(until), most: 100 }
  assert.deepEqual(latestTimes({ cron, timeZone }, span), found, `${cron} backwards`)
  return found.map((one) => one.toISOString().slice(8, 16))
}

const spring = ['2027-03-27T14:00:00Z', '2027-03-28T14:00:00Z'] as const
const autumn = ['2026-10-24T14:00:00Z', '2026-10-25T14:00:00Z'] as const

test('WORK-1: of several times a day the one that the clocks skip is not lost, and the one that comes twice is taken once', () => {
  assert.deepEqual(timesIn('30 2,14 * * *', 'Europe/Zurich', spring), ['28T01:00', '28T12:30'])
  assert.deepEqual(timesIn('30 2,14 * * *', 'Europe/Zurich', autumn), ['25T00:30', '25T13:30'])
  assert.deepEqual(
    timesIn('0,30 2 * * *', 'Europe/Zurich', spring),
    ['28T01:00'],
    'both times are one moment',
  )
  assert.deepEqual(timesIn('15 2 * * 0', 'Europe/Zurich', spring), ['28T01:00'])
  assert.deepEqual(timesIn('15 2 * * 1', 'Europe/Zurich', spring), [], 'Monday is not Sunday')
})

test('WORK-1: what comes every hour or every half hour goes on through both changes of the clocks', () => {
  const nights = [
    ['2026-10-24T23:00:00Z', '2026-10-25T02:00:00Z'],
    ['2027-03-27T23:00:00Z', '2027-03-28T02:00:00Z'],
  ] as const
  for (const night of nights) {
    assert.equal(timesIn('0 * * * *', 'Europe/Zurich', night).length, 3)
    assert.equal(timesIn('*/30 * * * *', 'Europe/Zurich', night).length, 6)
  }
})

test('WORK-1: a change of half an hour, one at midnight, and a day that comes every four years', () => {
  const lordHowe = ['2026-10-03T00:00:00Z', '2026-10-05T00:00:00Z'] as const
  assert.deepEqual(timesIn('15 2 * * *', 'Australia/Lord_Howe', lordHowe), ['03T15:30', '04T15:15'])
  const saoPaulo = ['2018-11-03T12:00:00Z', '2018-11-05T12:00:00Z'] as const
  assert.deepEqual(timesIn('0 0 * * *', 'America/Sao_Paulo', saoPaulo), ['04T03:00', '05T02:00'])
  const years = ['2026-01-01T00:00:00Z', '2033-01-01T00:00:00Z'] as const
  assert.equal(timesIn('0 3 29 2 *', 'UTC', years).length, 2)
})

test('WORK-1: the latest times are those up to now, the time of now among them, and none from before', () => {
  const rhythm = { cron: '0 * * * *', timeZone: 'UTC' }
  const now = new Date('2026-11-21T03:00:00.000Z')
  const hours = (from: string, most: number): number[] =>
    latestTimes(rhythm, { from: new Date(from), now, most }).map((time) => time.getUTCHours())
  assert.deepEqual(hours('2026-11-21T01:00:00.000Z', 24), [1, 2, 3])
  assert.deepEqual(hours('2026-11-21T01:00:00.001Z', 24), [2, 3])
  assert.deepEqual(hours('2026-11-20T01:00:00.000Z', 2), [2, 3])
  assert.deepEqual(hours('2026-11-21T03:00:00.001Z', 2), [])
})

test('DISC-7: what is no schedule, never comes, or is no time zone is refused', () => {
  for (const cron of ['', 'often', '61 * * * *', '* * * * * *', '* * * *', '0 0 31 2 *', '@reboot'])
    assert.throws(() => next(cron, 'UTC', '2026-11-21T00:00:00Z'), { code: 'request.invalid' }, cron)
  for (const zone of ['Mars/Base', '', '../UTC'])
    assert.throws(() => next('0 3 * * *', zone, '2026-11-21T00:00:00Z'), { code: 'request.invalid' }, zone)
  assert.throws(() => knownZone('Nowhere'), { code: 'request.invalid' })
})
