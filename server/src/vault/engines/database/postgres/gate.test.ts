import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { postgresBinaries } from '../../../../../test/support/postgres.ts'
import { startPostgresAccounts } from '../../../../../test/support/postgres-accounts.ts'
import { Secret } from '../../../../core/index.ts'
import { createGate } from './gate.ts'
import { postgresKind } from './postgres-database.ts'

test('VAULT-3: a gate is shut when those who were passing are through, and lets nobody pass until it opens', async () => {
  const gate = createGate()
  const told: string[] = []
  const held = Promise.withResolvers<void>()
  const first = gate.pass(async () => {
    await held.promise
    told.push('first')
  })
  const shutting = gate.shutWhile(async () => {
    told.push('shut')
    await Promise.resolve()
    told.push('opens')
  })
  const later = gate.pass(async () => void told.push('later'))
  held.resolve()
  await Promise.all([first, shutting, later])
  assert.deepEqual(told, ['first', 'shut', 'opens', 'later'])
})

test('VAULT-3: a gate opens again after a failure, one shutting after the other', async () => {
  const gate = createGate()
  let inside = 0
  const shut = (fails: boolean): Promise<void> =>
    gate.shutWhile(async () => {
      assert.equal(++inside, 1)
      await Promise.resolve()
      inside--
      if (fails) throw new Error('refused')
    })
  const outcomes = await Promise.allSettled([shut(true), shut(false), gate.pass(() => shut2()), shut(true)])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled', 'rejected'],
  )
  async function shut2(): Promise<void> {
    assert.equal(inside, 0)
  }
  await assert.rejects(
    gate.pass(() => Promise.reject(new Error('not let in'))),
    /not let in/,
  )
  await shut(false)
})

test('VAULT-3: who signs in anew for each user is let in while the account changes its own password', {
  skip: !postgresBinaries() && 'PostgreSQL is not installed',
}, async (t) => {
  const { connectionUrl, username, password } = await startPostgresAccounts(t)
  const database = await postgresKind.open({
    id: 'mount/name',
    // No session is kept, so each use of one begins with a sign-in.
    details: {
      connection_url: connectionUrl,
      username,
      max_open_connections: 6,
      max_idle_connections: -1,
    },
    password: new Secret(password),
    secrets: {},
  })
  t.after(() => database.close())
  let changing = true
  const signingIn = Array.from({ length: 4 }, async () => {
    while (changing) await database.check()
  })
  try {
    for (let change = 0; change < 5; change++)
      await database.changeOwnPassword({
        name: username,
        password: new Secret(randomBytes(12).toString('hex')),
        statements: [],
      })
  } finally {
    changing = false
  }
  await Promise.all(signingIn)
})
