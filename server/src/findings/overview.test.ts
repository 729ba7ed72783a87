// Lists, counts, trend and folders of findings, on both databases.
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { createDatabase, postgresBinaries, startPostgres } from '../../test/support/postgres.ts'
import { openWorld } from '../../test/support/world.ts'
import { findingsMigrations, insertFinding, moveFindings } from './findings-store.ts'
import { createOverview } from './overview.ts'
import { replacePlaces } from './places-store.ts'

const day = 86_400_000
const confidences = ['high', 'medium', 'low'] as const
const providers = ['stripe', 'github', 'aws', 'slack']

type Sketch = { files: string[]; confidence?: 'high' | 'medium' | 'low'; provider?: string; title?: string }

async function open(t: TestContext, databaseUrl?: string) {
  const world = await openWorld(t, findingsMigrations, databaseUrl === undefined ? {} : { databaseUrl })
  const { store, clock } = world
  const start = clock.now().getTime()
  let made = 0

  async function add(sketches: readonly Sketch[], at = clock.now().getTime()): Promise<string[]> {
    const first = made
    await store.write(async (tx) => {
      for (const sketch of sketches) {
        const id = `fnd_${String(made).padStart(6, '0')}`
        const { confidence = 'high', provider = 'stripe', title = `A ${provider} key` } = sketch
        const times = { first_seen_at: at, last_seen_at: at + (made % 7), state_since: at }
        const about = {
          provider,
          title,
          confidence,
          reasons: '["so"]',
          entropy: 3.5,
          masked: `ab****${made}`,
        }
        const names = { fingerprint: `f${made}`, secret_path: `secret/shop/${made}` }
        const row = { id, project: made % 2 ? 'shop' : 'billing', root: '/srv', rule: `${provider}-key` }
        await insertFinding(tx, { ...row, ...about, ...names, ...times }, 'scn_1')
        const place = {
          finding_id: id,
          line: 1,
          end_line: 1,
          col: 1,
          wrapping: 'none',
          author: null,
        } as const
        const rest = {
          commit_id: null,
          committed_at: null,
          first_seen_at: at,
          last_seen_at: null,
          gone_at: null,
        }
        const places = sketch.files.map((file) => ({ ...place, file, ...rest }))
        await replacePlaces(tx, id, places)
        made++
      }
    })
    return sketches.map((_, i) => `fnd_${String(first + i).padStart(6, '0')}`)
  }

  const move = (ids: readonly string[], state: 'fixed' | 'ignored' | 'imported' | 'open', at: number) =>
    store.write((tx) =>
      moveFindings(tx, ids, ['open', 'fixed', 'ignored', 'imported'], {
        state,
        runId: null,
        reason: null,
        at: new Date(at),
        actor: 'person:olga',
      }),
    )
  return { ...world, start, add, move, overview: createOverview({ store, clock }) }
}

const plain = (rows: readonly object[]): object[] => rows.map((row) => ({ ...row }))

const databases = [
  { name: 'SQLite', many: 10_000, skip: false },
  { name: 'PostgreSQL', many: 1000, skip: postgresBinaries() ? false : 'PostgreSQL is not installed' },
]

for (const { name, many, skip } of databases) {
  describe(`findings at a glance, ${name}`, { skip }, () => {
    const ends: (() => unknown)[] = []
    let cluster: Awaited<ReturnType<typeof startPostgres>> | undefined
    before(async () => {
      if (name === 'PostgreSQL')
        cluster = await startPostgres({ after: (end) => void ends.push(end as () => unknown) })
    })
    after(async () => {
      for (const end of ends) await end()
    })
    const url = async (): Promise<string | undefined> => (cluster ? createDatabase(cluster) : undefined)

    test('DISC-3: every order shows each finding once, page after page', async (t) => {
      const { add, overview } = await open(t, await url())
      const draws = createDraws('orders')
      const sketches = Array.from({ length: 130 }, () => ({
        files: Array.from({ length: 1 + draws.below(3) }, (_, i) => `f${i}.env`),
        confidence: confidences[draws.below(3)] ?? 'low',
      }))
      const ids = await add(sketches)
      for (const sort of ['newest', 'seen', 'confidence', 'places'] as const) {
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const page = await overview.page({ limit: 17, sort, cursor })
          seen.push(...page.items.map(({ id }) => id))
          cursor = page.next ?? undefined
        } while (cursor !== undefined)
        assert.deepEqual(seen.toSorted(), ids, sort)
      }
      const { items } = await overview.page({ limit: 500, sort: 'confidence' })
      const ranks = items.map((item) => confidences.indexOf(item.confidence))
      assert.deepEqual(ranks, ranks.toSorted())
      const byPlaces = await overview.page({ limit: 500, sort: 'places' })
      const counts = byPlaces.items.map(({ placeCount }) => placeCount)
      assert.deepEqual(
        counts,
        counts.toSorted((a, b) => b - a),
      )
      await assert.rejects(overview.page({ limit: 5, cursor: "0.x' or 1=1" }), { code: 'request.invalid' })
    })

    test('DISC-3: filters find what fits all of them, and take signs literally', async (t) => {
      const { add, move, overview, start } = await open(t, await url())
      const [a = '', b = '', c = '', d = ''] = await add([
        { files: ['api/src/a.env'], provider: 'stripe' },
        { files: ['api/b_1.env', 'lib/x.zip!inner/secret.env'], provider: 'github', confidence: 'medium' },
        { files: ['apis/c.env'], provider: 'stripe', confidence: 'low', title: '100% Sure' },
        { files: ['api/bx1.env'], provider: 'aws' },
      ])
      await move([d], 'ignored', start)
      const found = async (filter: object): Promise<string[]> =>
        (await overview.page({ limit: 10, ...filter })).items.map(({ id }) => id).sort()
      assert.deepEqual(await found({ path: 'api' }), [a, b, d])
      assert.deepEqual(await found({ path: 'api/' }), [a, b, d])
      assert.deepEqual(await found({ path: 'api/src/a.env' }), [a])
      assert.deepEqual(await found({ path: 'lib/x.zip' }), [b])
      assert.deepEqual(await found({ text: 'b_1' }), [b])
      assert.deepEqual(await found({ text: '0%' }), [c])
      assert.deepEqual(await found({ text: 'SURE' }), [c])
      assert.deepEqual(await found({ text: "'" }), [])
      assert.deepEqual(await found({ provider: 'stripe', state: 'open' }), [a, c])
      assert.deepEqual(await found({ rule: 'aws-key' }), [d])
      assert.deepEqual(await found({ confidence: 'medium', project: 'shop' }), [b])
      const { states, rules, projects, confidences: sure } = await overview.summary({ state: 'open' })
      assert.deepEqual(states, { open: 3, ignored: 1 })
      assert.deepEqual(plain(rules), [
        { name: 'stripe-key', count: 2 },
        { name: 'github-key', count: 1 },
      ])
      assert.deepEqual(plain(projects), [
        { name: 'billing', count: 2 },
        { name: 'shop', count: 1 },
      ])
      assert.deepEqual(sure.map((entry) => entry.count).sort(), [1, 1, 1])
    })

    test('DISC-3: the trend tells what was open on each day, and why it changed', async (t) => {
      const { add, move, overview, start, clock } = await open(t, await url())
      const ids = await add(
        [{ files: ['a'] }, { files: ['b'] }, { files: ['c'] }, { files: ['d'] }],
        start - 20 * day,
      )
      await move(ids.slice(0, 1), 'fixed', start - 4 * day)
      await move(ids.slice(1, 3), 'imported', start - 3 * day)
      await move(ids.slice(3), 'ignored', start - 3 * day + 1)
      await move(ids.slice(0, 1), 'open', start - 2 * day)
      await add([{ files: ['e'] }], start - day)
      clock.set(new Date(start + 60_000))
      const { days } = await overview.trend({ days: 7 })
      const line = ({ open: left, opened, fixed, imported, ignored }: (typeof days)[number]) =>
        [left, opened, fixed, imported, ignored].join(' ')
      assert.deepEqual(days.map(line), [
        '4 0 0 0 0',
        '4 0 0 0 0',
        '3 0 1 0 0',
        '0 0 0 2 1',
        '1 1 0 0 0',
        '2 1 0 0 0',
        '2 0 0 0 0',
      ])
      assert.deepEqual([days[0]?.day, days[6]?.day], ['2025-12-26', '2026-01-01'])
      assert.equal((await overview.trend({ days: 30 })).days.length, 30)
    })

    test('DISC-3: folders count what stands directly in them, each value once', async (t) => {
      const { add, move, overview, start } = await open(t, await url())
      const [, , done = ''] = await add([
        { files: ['api/a.env', 'api/deep/b.env', '.env'] },
        { files: ['api/a.env'], confidence: 'low' },
        { files: ['lib/c.env'] },
        { files: ['lib/x.zip!inner.env'], confidence: 'medium' },
      ])
      await move([done], 'fixed', start)
      const shown = async (folder: string): Promise<string[]> =>
        (await overview.folders({ folder })).items.map(
          ({ path, kind, findings, high, medium, low }) =>
            `${kind} ${path} ${findings}: ${high} ${medium} ${low}`,
        )
      assert.deepEqual(await shown(''), ['folder api 2: 1 0 1', 'file .env 1: 1 0 0', 'folder lib 1: 0 1 0'])
      assert.deepEqual(await shown('api'), ['file api/a.env 2: 1 0 1', 'folder api/deep 1: 1 0 0'])
      assert.deepEqual(await shown('lib/'), ['file lib/x.zip 1: 0 1 0'])
      assert.deepEqual(await shown('nowhere'), [])
    })

    test('DISC-3: thousands of findings are listed, counted and filtered', async (t) => {
      const { add, overview } = await open(t, await url())
      const sketches = Array.from({ length: many }, (_, i) => ({
        files: [`services/${i % 50}/config/${i}.env`],
        confidence: confidences[i % 3] ?? 'low',
        provider: providers[i % 4] ?? 'aws',
      }))
      await add(sketches)
      const filter = { path: 'services/7', sort: 'confidence' } as const
      const { items, next } = await overview.page({ ...filter, limit: many / 100 })
      assert.equal(items.length, many / 100)
      assert.ok(items.every(({ places }) => places[0]?.file.startsWith('services/7/')))
      const rest = await overview.page({ ...filter, limit: 500, cursor: next ?? '' })
      assert.equal(rest.items.length, many / 100)
      assert.deepEqual((await overview.summary({})).states, { open: many })
      assert.equal((await overview.folders({ folder: 'services' })).items.length, 50)
    })
  })
}
