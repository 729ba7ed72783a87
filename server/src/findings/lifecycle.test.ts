// What becomes of a finding from one scan to the next, with the real scanner and git.
import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FindingView } from '@keyward/contract'
import { olga, openFindingsWorld } from '../../test/support/findings-world.ts'
import { newPaymentsKey } from '../../test/support/leaky-project.ts'

const day = 86_400_000
const isoAfter = (days: number): string =>
  new Date(Date.parse('2026-01-01T00:00:00.000Z') + days * day).toISOString()
const places = ({ places: all }: FindingView): string[] =>
  all.map(
    ({ file, line, commit, goneAt }) => `${commit ? 'history ' : ''}${file}:${line}${goneAt ? ' gone' : ''}`,
  )

test('DISC-3: a value that no file holds any more is fixed, with the date, and opens when it is back', async (t) => {
  const { write, scan, findings, clock } = await openFindingsWorld(t)
  const value = newPaymentsKey()
  write('.env', `STRIPE_KEY=${value}\n`)
  write('copy.env', `STRIPE_KEY=${value}\n`)
  const [open] = await scan()
  assert.ok(open)
  assert.deepEqual(places(open), ['.env:1', 'copy.env:1'])

  clock.advance(day)
  write('copy.env', 'STRIPE_KEY=\n')
  const [less] = await scan()
  assert.ok(less)
  assert.deepEqual([places(less), less.placeCount], [['.env:1', 'copy.env:1 gone'], 1])
  assert.deepEqual(less.places[1]?.lastSeenAt, isoAfter(0))

  clock.advance(day)
  write('.env', 'STRIPE_KEY=\n')
  assert.deepEqual(await scan(), [])
  const fixed = await findings.read(open.id)
  assert.deepEqual(
    [fixed.state, fixed.stateSince, fixed.reason, fixed.placeCount],
    ['fixed', isoAfter(2), 'No scan finds it any more.', 0],
  )

  clock.advance(day)
  write('.env', `# again\nSTRIPE_KEY=${value}\n`)
  const [again] = await scan()
  assert.ok(again)
  assert.deepEqual([again.id, again.state, again.stateSince], [open.id, 'open', isoAfter(3)])
  assert.deepEqual(places(again), ['.env:2', 'copy.env:1 gone'])
  assert.equal(again.places[0]?.firstSeenAt, isoAfter(0), 'it is the same place, on another line')
  const { moves } = await findings.explain(open.id)
  assert.deepEqual(
    moves.map(({ to, at }) => `${to} ${at}`),
    [`open ${isoAfter(3)}`, `fixed ${isoAfter(2)}`, `open ${isoAfter(0)}`],
  )
})

test('DISC-3: removed by a commit it is fixed, and the reason names the history that still holds it', async (t) => {
  const { write, scan, findings, git, commit } = await openFindingsWorld(t)
  git('init', '--quiet')
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('one')
  const [open] = await scan(true)
  assert.ok(open)
  assert.deepEqual(places(open), ['.env:1', 'history .env:1'])
  assert.equal(open.places[1]?.author, 'Ada')
  write('.env', 'STRIPE_KEY=\n')
  commit('two')
  assert.deepEqual(await scan(true), [])
  const fixed = await findings.read(open.id)
  assert.equal(fixed.state, 'fixed')
  assert.match(fixed.reason ?? '', /^No file holds it any more; of the history, one commit still holds it/)
  assert.deepEqual(places(fixed), ['history .env:1', '.env:1 gone'])
  assert.deepEqual(await scan(true), [], 'the history alone does not open it again')
})

test('DISC-3: a value that only the history ever held stays open', async (t) => {
  const { write, scan, git, commit } = await openFindingsWorld(t)
  git('init', '--quiet')
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('one')
  write('.env', 'STRIPE_KEY=\n')
  commit('two')
  const [first] = await scan(true)
  assert.deepEqual([first?.state, first && places(first)], ['open', ['history .env:1']])
  const [second] = await scan(true)
  assert.equal(second?.id, first?.id)
})

test('DISC-7: a scan of new commits reads what is new, and keeps what the others found', async (t) => {
  const { write, findings, git, commit, root } = await openFindingsWorld(t)
  git('init', '--quiet')
  const scanNew = async () => {
    const { done } = await findings.startScan({ path: root, history: true, newCommits: true, by: olga })
    return done
  }
  for (const name of ['one', 'two', 'three']) {
    write(`${name}.env`, `STRIPE_KEY=${newPaymentsKey()}\n`)
    commit(name)
  }
  const first = await scanNew()
  assert.deepEqual([first.history, first.commitsScanned, first.opened], ['all', 3, 3])
  write('four.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  commit('four')
  const second = await scanNew()
  assert.deepEqual([second.history, second.commitsScanned, second.opened, second.fixed], ['new', 1, 1, 0])
  const { items } = await findings.page({ limit: 10, state: 'open' })
  assert.deepEqual(
    items.map((item) => item.placeCount),
    [2, 2, 2, 2],
  )
  assert.deepEqual((await scanNew()).commitsScanned, 0)
})

test('DISC-7: files that changed are looked at alone, and what is gone from them is fixed', async (t) => {
  const { write, remove, scan, findings, root } = await openFindingsWorld(t)
  for (const file of ['a.env', 'b.env', 'sub/c.env', 'sub/deep/d.env'])
    write(file, `STRIPE_KEY=${newPaymentsKey()}\n`)
  await scan()
  const look = (present: string[], gone: string[]) =>
    findings.scanFiles({ path: root, present, gone, by: olga, cause: 'watch' })
  const open = async (): Promise<string[]> =>
    (await findings.page({ limit: 10, state: 'open' })).items.map((item) => item.places[0]?.file ?? '').sort()

  write('a.env', 'STRIPE_KEY=\n')
  remove('b.env')
  write('new.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  const changed = await look(['new.env'], [])
  assert.deepEqual([changed.opened, changed.fixed], [1, 0])
  assert.deepEqual(await open(), ['a.env', 'b.env', 'new.env', 'sub/c.env', 'sub/deep/d.env'])
  const gone = await look(['a.env'], ['b.env'])
  assert.deepEqual([gone.opened, gone.fixed], [0, 2])
  remove('sub')
  assert.equal((await look([], ['sub'])).fixed, 2)
  assert.deepEqual(await open(), ['new.env'])
  assert.equal((await findings.readScan(changed.id)).opened, 1)
  const nothing = await look(['new.env'], [])
  assert.deepEqual([nothing.opened, nothing.fixed], [0, 0])
  await assert.rejects(findings.readScan(nothing.id), { code: 'scan.not_found' }, 'it is not remembered')
})

test('DISC-3: what could not be read is not fixed', async (t) => {
  const { write, remove, scan, findings, root } = await openFindingsWorld(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  const [open] = await scan()
  remove('.env')
  // A link out of the folder is told as a problem, not followed.
  symlinkSync('/etc/hostname', join(root, '.env'))
  const { done } = await findings.startScan({ path: root, history: false, by: olga })
  const scanned = await done
  assert.deepEqual(
    scanned.problems.map(({ file }) => file),
    ['.env'],
  )
  assert.equal((await findings.read(open?.id ?? '')).state, 'open')
})

test('DISC-5: many findings are ignored together or not at all, for a time, and opened again', async (t) => {
  const { write, scan, findings, clock } = await openFindingsWorld(t)
  for (const file of ['a.env', 'b.env', 'c.env']) write(file, `STRIPE_KEY=${newPaymentsKey()}\n`)
  const ids = (await scan()).map(({ id }) => id)
  const stateOf = async (id = ''): Promise<string> => (await findings.read(id)).state
  const until = new Date(clock.now().getTime() + day)
  assert.deepEqual(await findings.ignore(ids.slice(0, 1), { reason: 'for good' }, olga), ids.slice(0, 1))
  await assert.rejects(findings.ignore(ids, { reason: 'all' }, olga), { code: 'finding.state' })
  await assert.rejects(findings.ignore(['fnd_none'], { reason: 'none' }, olga), { code: 'finding.not_found' })
  await assert.rejects(findings.ignore(ids.slice(1), { reason: 'late', until: clock.now() }, olga), {
    code: 'request.invalid',
  })
  assert.deepEqual(await Promise.all(ids.map(stateOf)), ['ignored', 'open', 'open'])

  await findings.ignore(ids.slice(1), { reason: 'rotated on Friday', until }, olga)
  assert.equal((await findings.read(ids[1] ?? '')).ignoredUntil, until.toISOString())
  await scan()
  assert.deepEqual(await findings.expireIgnores(), [])
  clock.advance(day)
  assert.deepEqual(await findings.expireIgnores(), ids.slice(1).toSorted())
  const back = await findings.read(ids[1] ?? '')
  assert.deepEqual(
    [back.state, back.reason, back.ignoredUntil],
    ['open', 'The time for which it was ignored is over.', null],
  )
  assert.equal(await stateOf(ids[0]), 'ignored')

  await assert.rejects(findings.reopen(ids, olga), { code: 'finding.state' })
  assert.deepEqual(await findings.reopen(ids.slice(0, 1), olga), ids.slice(0, 1))
  assert.equal(await stateOf(ids[0]), 'open')
})

test('DISC-3: many values of one name get names of their own', async (t) => {
  const { write, scan, findings } = await openFindingsWorld(t)
  for (const n of [1, 2, 3]) write(`${n}/.env`, `STRIPE_KEY=${newPaymentsKey()}\n`)
  const ids = (await scan()).map(({ id }) => id)
  const { secrets } = await findings.preview(ids)
  const names = secrets.map(({ reference }) => /stripe-key(?:-\d)?(?=#)/.exec(reference)?.[0]).sort()
  assert.deepEqual(names, ['stripe-key', 'stripe-key-2', 'stripe-key-3'])
})
