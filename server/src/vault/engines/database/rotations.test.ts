import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openWorld } from '../../../../test/support/world.ts'
import { silentLog } from '../../../core/index.ts'
import { vaultMigrations } from '../../vault-store.ts'
import { refused } from './failure.ts'
import type { Records, StaticRoleRecord } from './records.ts'
import { createRotations } from './rotations.ts'

const role: StaticRoleRecord = {
  dbName: 'shop',
  username: 'app',
  rotationStatements: [],
  credentialConfig: {},
  rotationPeriodSeconds: 60,
  rotationSchedule: '',
  rotationWindowSeconds: 0,
}

const none = <T>(): Records<T> => ({
  names: async () => [],
  read: async () => undefined,
  write: async () => undefined,
  remove: async () => undefined,
})

test('VAULT-3: a rotation that the database refuses has a time of its own; one that the storage stops is told to who asked', async (t) => {
  const { store, audit, clock } = await openWorld(t, vaultMigrations)
  let broken = false
  const staticRoles: Records<StaticRoleRecord> = {
    ...none<StaticRoleRecord>(),
    names: async () => ['app'],
    async read() {
      if (broken) throw new Error('the disk does not answer')
      return role
    },
  }
  let stopsStorage = false
  const rotations = createRotations({
    records: { configs: none(), roles: none(), staticRoles, wipe: async () => undefined },
    connections: {
      async use() {
        broken = stopsStorage
        throw refused('not now')
      },
    },
    passwords: { generate: async () => assert.fail('nothing is generated') },
    store,
    audit,
    clock,
    log: silentLog,
    mountPath: 'database/',
    onPlan: () => undefined,
  })
  await rotations.load()
  await rotations.runDue()
  assert.equal(rotations.failing().length, 1)
  assert.ok((rotations.nextAt() ?? 0) > clock.now().getTime())
  clock.advance(5000)
  stopsStorage = true
  // Otherwise it would be tried again at once, without end.
  await assert.rejects(rotations.runDue(), /the disk does not answer/)
  assert.ok((rotations.nextAt() ?? Number.POSITIVE_INFINITY) <= clock.now().getTime())
})
