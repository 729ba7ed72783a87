import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPool } from './pool.ts'

const gigabyte = 1024 ** 3

/** A pool of things that are only counted, and a clock that is moved by hand. */
function world({ most = 3, availableBytes = () => 8 * gigabyte } = {}) {
  const timers: { at: number; call: () => void }[] = []
  let now = 0
  const started: { kind: string; alive: boolean; discarded: boolean }[] = []
  const clock = {
    now: () => new Date(now),
    after(milliseconds: number, call: () => void) {
      const timer = { at: now + milliseconds, call }
      timers.push(timer)
      return () => void timers.splice(0, timers.length, ...timers.filter((other) => other !== timer))
    },
  }
  const pool = createPool({
    clock,
    most,
    availableBytes,
    async start(kind: string) {
      const one = { kind, alive: true, discarded: false }
      started.push(one)
      return {
        isAlive: () => one.alive,
        async discard() {
          one.alive = false
          one.discarded = true
        },
      }
    },
  })
  return {
    pool,
    started,
    alive: () => started.filter((one) => one.alive).map(({ kind }) => kind),
    async pass(milliseconds: number) {
      now += milliseconds
      for (const { call } of timers
        .splice(0, timers.length, ...timers.filter(({ at }) => at > now))
        .filter(({ at }) => at <= now))
        call()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

test('SAND-1: nothing waits before the first task; then one of its kind, started a moment later', async () => {
  const { pool, alive, pass } = world()
  assert.equal(pool.take('a'), undefined)
  pool.expect('a', 'a')
  assert.deepEqual(alive(), [])
  await pass(1000)
  assert.deepEqual(alive(), ['a'])
  assert.equal(pool.waiting(), 1)
})

test('SAND-1: as many wait as ran at the same time, and not more than are allowed', async () => {
  const { pool, alive, pass } = world({ most: 3 })
  for (let run = 0; run < 2; run++) pool.expect('a', 'a')
  await pass(1000)
  assert.deepEqual(alive(), ['a', 'a'])
  for (let run = 0; run < 20; run++) pool.expect('a', 'a')
  await pass(1000)
  assert.deepEqual(alive(), ['a', 'a', 'a'])
})

test('SAND-1: tasks that follow one another have one that waits', async () => {
  const { pool, alive, pass } = world()
  for (let run = 0; run < 5; run++) {
    pool.take('a')
    pool.expect('a', 'a')
    await pass(1000)
    pool.ended('a')
  }
  // Five were begun, each took the one before it; nobody took the last.
  assert.equal(pool.waiting(), 1)
  assert.equal(alive().length, 5)
})

test('SAND-2: each is given away once', async () => {
  const { pool } = world()
  await pool.add('a', 'a')
  assert.ok(pool.take('a'))
  assert.equal(pool.take('a'), undefined)
})

test('SAND-2: one of another kind is never given', async () => {
  const { pool } = world()
  await pool.add('a', 'a')
  assert.equal(pool.take('b'), undefined)
})

test('SAND-1: another kind gives way when there is no room', async () => {
  const { pool, alive } = world({ most: 2 })
  for (const kind of ['a', 'b', 'c']) await pool.add(kind, kind)
  assert.deepEqual(alive(), ['b', 'c'])
})

test('SAND-2: one that has died is not given away', async () => {
  const { pool, started } = world()
  await pool.add('a', 'a')
  for (const one of started) one.alive = false
  assert.equal(pool.waiting(), 0)
  assert.equal(pool.take('a'), undefined)
  assert.equal(started[0]?.discarded, true, 'and what it had on the machine is removed')
})

test('SAND-1: one that nobody needs is ended after ten minutes', async () => {
  const { pool, alive, pass } = world()
  await pool.add('a', 'a')
  await pass(9 * 60_000)
  assert.deepEqual(alive(), ['a'])
  await pass(60_000)
  assert.deepEqual(alive(), [])
})

test('SAND-1: a machine that is short of memory starts none ahead, nor does a pool of none', async () => {
  for (const { pool, alive } of [world({ availableBytes: () => gigabyte / 2 }), world({ most: 0 })]) {
    await pool.add('a', 'a')
    assert.deepEqual(alive(), [])
  }
})

test('SAND-2: after its end nothing waits, and nothing is started', async () => {
  const { pool, alive } = world()
  const coming = pool.add('a', 'a')
  await pool.close()
  await coming
  await pool.add('a', 'a')
  assert.deepEqual(alive(), [])
})
