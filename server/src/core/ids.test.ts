import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIds, newId, newUuid } from './index.ts'

const early = new Date('2026-01-01T00:00:00.000Z')
const late = new Date('2026-01-01T00:00:00.001Z')

test('ids are unlike each other and sort by time', () => {
  assert.match(newId('run', early), /^run_[0-9a-z]{26}$/)
  assert.notEqual(newId('run', early), newId('run', early))
  assert.ok(newId('run', early) < newId('run', late))
})

test('UUIDs are of version 7 and sort by time', () => {
  assert.match(newUuid(early), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.notEqual(newUuid(early), newUuid(early))
  assert.ok(newUuid(early) < newUuid(late))
  assert.ok(newUuid(late) < newUuid(new Date('2096-01-01T00:00:00.000Z')))
})

test('UUIDs hold the time in their first 48 bits', () => {
  for (const time of [0, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_ffff])
    assert.equal(
      newUuid(new Date(time)).slice(0, 13).replace('-', ''),
      time.toString(16).padStart(12, '0'),
      String(time),
    )
})

test('who makes many ids makes the same forms, sorted by time, and none twice', () => {
  const ids = createIds()
  const made = Array.from({ length: 1000 }, () => [ids.id('run', early), ids.uuid(early)]).flat()
  assert.equal(new Set(made).size, made.length)
  for (const [at, text] of made.entries())
    assert.match(
      text,
      at % 2 === 0
        ? /^run_[0-9abcdefghjkmnpqrstvwxyz]{26}$/
        : /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  assert.equal(ids.id('run', late).slice(0, 14), newId('run', late).slice(0, 14))
  assert.equal(ids.uuid(late).slice(0, 15), newUuid(late).slice(0, 15))
  assert.ok(ids.id('run', early) < ids.id('run', late))
})

test('every random character of an id may be any', () => {
  const ids = createIds()
  const seen = Array.from({ length: 26 }, () => new Set<string>())
  for (let made = 0; made < 2000; made++)
    for (const [at, character] of [...ids.id('x', early).slice(2)].entries()) seen[at]?.add(character)
  assert.deepEqual(
    seen.slice(10).map(({ size }) => size),
    Array.from({ length: 16 }, () => 32),
  )
})
