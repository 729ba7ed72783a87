import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openWorld } from '../../test/support/world.ts'
import { auditMigrations } from '../audit/index.ts'
import { busMigrations } from '../bus/index.ts'
import { findingsById, findingsMigrations, movesOf } from './findings-store.ts'
import { createOverview } from './overview.ts'
import { placesOf } from './places-store.ts'

test('OPS-1: what an earlier version has found keeps its places, its state and a history that begins with it', async (t) => {
  const world = await openWorld(t, findingsMigrations.slice(0, 1))
  const { store, clock } = world
  const at = clock.now().getTime()
  const insert = (id: string, state: string, seen: number) => ({
    text: `insert into findings (id, project, root, fingerprint, rule, provider, title, confidence, masked, state, secret_path,
      first_seen_at, last_seen_at) values (?, 'shop', '/srv', ?, 'r', 'stripe', 'A key', 'high', 'ab****', ?, ?, ?, ?)`,
    values: [id, `f ${id}`, state, `secret/${id}`, seen, at],
  })
  const place = (id: string, file: string) => ({
    text: `insert into finding_places (finding_id, file, line, end_line, col, wrapping) values (?, ?, 3, 3, 1, 'none')`,
    values: [id, file],
  })
  const day = 86_400_000
  await store.write(async (tx) => {
    await tx.run(insert('fnd_1', 'open', at - 3 * day))
    await tx.run(insert('fnd_2', 'imported', at - 2 * day))
    for (const [id, file] of [
      ['fnd_1', 'a.env'],
      ['fnd_1', 'b.env'],
      ['fnd_2', 'c.env'],
    ] as const)
      await tx.run(place(id, file))
  })

  await store.migrate([...auditMigrations, ...busMigrations, ...findingsMigrations])
  const [one, two] = await findingsById(store, ['fnd_1', 'fnd_2'])
  assert.deepEqual([one?.place_count, one?.state, one?.reasons, one?.state_since], [2, 'open', '[]', at])
  assert.deepEqual([two?.place_count, two?.state], [1, 'imported'])
  const places = await placesOf(store, ['fnd_1'])
  assert.deepEqual(
    places.map(({ file, first_seen_at, gone_at }) => [file, first_seen_at, gone_at]),
    [
      ['a.env', at - 3 * day, null],
      ['b.env', at - 3 * day, null],
    ],
  )
  assert.deepEqual(
    (await movesOf(store, 'fnd_2', 5)).map(({ to_state, at: when }) => [to_state, when]),
    [
      ['imported', at],
      ['open', at - 2 * day],
    ],
  )
  const { days } = await createOverview({ store, clock }).trend({ days: 7 })
  assert.deepEqual(
    days.map(({ open }) => open),
    [0, 0, 0, 1, 2, 2, 1],
  )
})
