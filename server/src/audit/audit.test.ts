import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AuditEntry } from '@keyward/contract'
import { openWorld } from '../../test/support/world.ts'
import { digestOf } from '../core/index.ts'
import { type Durability, type Store, sql } from '../store/index.ts'
import type { Anchor } from './anchor.ts'
import { createAudit } from './index.ts'

const hashesHold = (entries: readonly AuditEntry[]): boolean =>
  entries.every(({ hash, ...content }) => digestOf(content) === hash)

test('GOV-1: no text that a caller can send makes an entry that does not verify', async (t: TestContext) => {
  const { audit } = await openWorld(t)
  for (const text of ['\ud800', 'a\udc00b', 'a\0b', '\0', '\ufeffü😀', "'; --"])
    await audit.recordNow({
      type: 'operation.refused',
      outcome: 'denied',
      actor: `agent:${text}`,
      target: `Secret:${text}`,
      correlation: text,
      detail: { text, [text]: [text] },
    })
  const { items } = await audit.page({ limit: 100, order: 'asc' })
  assert.equal(items.length, 6)
  assert.ok(hashesHold(items), JSON.stringify(items.filter((entry) => !hashesHold([entry]))))
})

test('GOV-1: what JSON leaves out of a detail is not hashed either', async (t: TestContext) => {
  const { audit } = await openWorld(t)
  const detail = { reason: undefined, list: [1, undefined], size: -0, nested: { none: undefined } }
  await audit.recordNow({
    type: 'operation.refused',
    outcome: 'denied',
    actor: 'person:ada',
    target: 'run:1',
    detail: detail as never,
  })
  const { items } = await audit.page({ limit: 1, order: 'asc' })
  assert.ok(hashesHold(items), JSON.stringify(items))
})

test('GOV-1: an anchor never gets ahead of the disk', async (t: TestContext) => {
  const { store, clock } = await openWorld(t)
  const steps: string[] = []
  const watched: Store = {
    ...store,
    write: async <T>(work: Parameters<Store['write']>[0], durability: Durability = 'disk') => {
      const done = await store.write(work, durability)
      steps.push(durability)
      return done as T
    },
  }
  const anchor: Anchor = { read: () => undefined, write: ({ seq }) => void steps.push(`anchor ${seq}`) }
  const audit = createAudit({ store: watched, clock, anchor, signingKey: async () => undefined })
  await watched.write(
    (tx) =>
      audit.record(tx, { type: 'secret.read', outcome: 'done', actor: 'person:ada', target: 'secret:a' }),
    'kernel',
  )
  await audit.anchor()
  assert.deepEqual(steps, ['kernel', 'disk', 'anchor 1'])
  assert.equal((await store.get<{ n: number }>(sql`select count(*) as n from audit_entries`))?.n, 1)
})
