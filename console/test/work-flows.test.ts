// UI-1, WORK-1: goals become plans, plans become runs, and a person steers them, in a real browser.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertClean, settle } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import { goals } from './support/goal-fixtures.ts'
import { deployRun, mixedRun } from './support/run-fixtures.ts'
import { narrow, openStage } from './support/stage.ts'

const { server, open, callsOf } = openStage()

describe('UI-1, WORK-1: goals', () => {
  test('WORK-1: words become a plan that is shown before anything runs, and exactly it is started', async (t) => {
    const { page, ...seen } = await open(t, '/runs/goals')
    await settle(page)
    await page.getByRole('button', { name: 'Show the plan' }).click()
    await page.getByText('three characters or more').waitFor()
    await page.getByLabel('What should happen?').fill('deploy the feature of pull request 123')
    await page.getByRole('button', { name: 'Show the plan' }).click()
    await page.getByRole('heading', { name: 'deploy the feature of pull request 123' }).waitFor()
    assert.equal(callsOf('goals.start').length, 0)
    await page.getByText('8, of which 2 ask a person first').waitFor()
    await page.getByRole('listitem').getByRole('button', { name: 'Merge pull request 123' }).click()
    await page.getByText('contents:write, pull_requests:write').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'Start exactly this' }).click()
    await page.getByRole('heading', { name: deployRun.title }).waitFor()
    const digest = goals[0]?.proposals[0]?.plan?.planDigest
    assert.deepEqual(callsOf('goals.start')[0]?.input, { goalId: 'gol_1', proposal: 1, digest })
  })

  test('WORK-1: a plan that has changed is refused, and the page says so', async (t) => {
    const { page } = await open(t, '/runs/goals/gol_1')
    server.answer({
      'goals.start': () => {
        throw new Refusal('goal.changed', 'The pull request has a new commit; read the plan again.')
      },
    })
    await page.getByRole('button', { name: 'Start exactly this' }).click()
    await page.getByText('The pull request has a new commit; read the plan again.').waitFor()
  })

  test('WORK-1: words that fit several things are asked back, and words that fit nothing are refused', async (t) => {
    const { page, ...seen } = await open(t, '/runs/goals/gol_2', narrow)
    await page.getByText('Which of these do you mean?').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'This one' }).nth(1).click()
    await page.getByRole('heading', { name: 'deploy the feature of pull request 123' }).waitFor()
    assert.deepEqual(callsOf('goals.propose')[0]?.input, { text: 'rotate the keys of transit orders' })
    await page.goto(`${server.origin}/runs/goals`)
    server.answer({
      'goals.propose': () => {
        throw new Refusal('goal.unknown', 'Known are: deploy …, rotate …, diagnose ….')
      },
    })
    await page.getByLabel('What should happen?').fill('make coffee')
    await page.getByRole('button', { name: 'Show the plan' }).click()
    await page.getByText('Known are: deploy …, rotate …, diagnose ….').waitFor()
  })

  test('WORK-1: another way to the same goal is one press away, with why it cannot be planned', async (t) => {
    const { page } = await open(t, '/runs/goals/gol_1')
    await page.getByRole('button', { name: 'Deploy with Terraform' }).click()
    await page.getByText('There is no connection to Terraform.').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Start exactly this' }).count(), 0)
  })
})

describe('UI-1, WORK-1: steering a run', () => {
  test('WORK-1: a run is paused and goes on', async (t) => {
    const { page } = await open(t, '/runs/run_deploy')
    server.answer({ 'runs.pause': () => ({ ...deployRun, state: 'Paused' }) })
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('The run is paused: nothing more begins').waitFor()
    assert.deepEqual(callsOf('runs.pause')[0]?.input, { runId: 'run_deploy' })
    server.answer({ 'runs.read': () => ({ ...deployRun, state: 'Paused' }), 'runs.resume': () => deployRun })
    await page.reload()
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('The run goes on', { exact: true }).waitFor()
  })

  test('WORK-1: a run that failed goes on from there after a question', async (t) => {
    const { page, ...seen } = await open(t, '/runs/run_mixed')
    server.answer({ 'runs.retry': () => ({ ...mixedRun, state: 'Running', finishedAt: null }) })
    await page.getByRole('button', { name: 'Go on from here…' }).click()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'Go on', exact: true }).click()
    await page.getByText('The run goes on where it ended').waitFor()
    assert.deepEqual(callsOf('runs.retry')[0]?.input, { runId: 'run_mixed' })
  })

  test('WORK-1: a task whose outcome nobody knows is answered by a person, with how they know', async (t) => {
    const unknown = mixedRun.tasks.find(({ state }) => state === 'Ambiguous')
    assert.ok(unknown)
    const { page, ...seen } = await open(t, `/runs/run_mixed?task=${unknown.id}`)
    server.answer({ 'runs.resolve': () => ({ ...mixedRun, state: 'Running', finishedAt: null }) })
    await page.getByRole('button', { name: 'Say so' }).click()
    await page.getByText('Choose one of the two.').waitFor()
    await page.getByLabel('It happened').check()
    await page.getByLabel('Its outcome, as JSON').fill('{"merged":')
    await page.getByLabel('How you know').fill('The commit is on main.')
    await page.getByText('This is no JSON.').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'Say so' }).click()
    assert.equal(callsOf('runs.resolve').length, 0)
    await page.getByLabel('Its outcome, as JSON').fill('{"merged": true}')
    await page.getByRole('button', { name: 'Say so' }).click()
    await page.getByText('The run goes on with your answer').waitFor()
    assert.deepEqual(callsOf('runs.resolve')[0]?.input, {
      runId: 'run_mixed',
      taskId: unknown.id,
      effect: 'done',
      output: { merged: true },
      reason: 'The commit is on main.',
    })
  })
})

describe('UI-1, WORK-1: what came of a run', () => {
  test('WORK-1: denied, not answered, made good, rolled back and failed are told apart in words, and kept in the state elsewhere', async (t) => {
    const outcomes = [
      ['Cancelled', 'Denied', 'Denied'],
      ['Cancelled', 'Expired', 'Not answered'],
      ['Failed', 'MadeGood', 'Made good'],
      ['Succeeded', 'RolledBack', 'Rolled back'],
      ['Succeeded', 'Failed', 'Failed'],
      ['Succeeded', 'Done', 'Succeeded'],
      ['Paused', null, 'Paused'],
    ] as const
    const items = outcomes.map(([state, outcome, text]) => ({
      ...deployRun,
      id: `run_${text}`,
      title: `Run that is ${text}`,
      state,
      outcome,
    }))
    server.answer({ 'runs.list': () => ({ items, next: null }), 'runs.read': () => items[0] })
    const { page, ...seen } = await open(t, '/runs', narrow)
    for (const [, , text] of outcomes) {
      const row = page.getByRole('listitem').filter({ hasText: `Run that is ${text}` })
      await row.getByText(text, { exact: true }).waitFor()
    }
    await assertClean({ page, ...seen })
    await page.getByRole('link', { name: 'Run that is Denied' }).click()
    await page.getByText('Denied', { exact: true }).first().waitFor()
  })
})

describe('UI-1, WORK-1: flows by the clock', () => {
  test('WORK-1: one says why it was refused, is started now, paused, and removed after a second look', async (t) => {
    const { page } = await open(t, '/runs/schedules')
    const first = page.getByRole('listitem').filter({ hasText: 'Look at the shop each morning' })
    await first.getByText('has no account that may act').waitFor()
    await first.getByRole('button', { name: 'Start now' }).click()
    await first.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('The schedule is paused').waitFor({ state: 'attached' })
    assert.deepEqual(callsOf('run_schedules.run')[0]?.input, { scheduleId: 'sch_21' })
    assert.deepEqual(callsOf('run_schedules.change')[0]?.input, { scheduleId: 'sch_21', paused: true })
    await first.getByRole('button', { name: 'Remove Look at the shop' }).click()
    await page.getByRole('button', { name: 'Keep it' }).click()
    assert.equal(callsOf('run_schedules.remove').length, 0)
    await first.getByRole('button', { name: 'Remove Look at the shop' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await page.getByText('The schedule is removed').waitFor({ state: 'attached' })
  })

  test('WORK-1: one is added with the input of its flow after its next times were shown; a refusal keeps what was written', async (t) => {
    const { page, ...seen } = await open(t, '/runs/schedules', narrow)
    await page.getByRole('button', { name: 'Add a schedule' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('service', { exact: true }).fill('shop')
    await dialog.getByLabel('sinceMinutes').fill('90')
    server.answer({
      'run_schedules.times': () => {
        throw new Refusal('request.invalid', "'0 0 30 2 *' names a time that never comes")
      },
    })
    await dialog.getByLabel('By the clock').selectOption('as I write it')
    await dialog.getByLabel('Five fields of cron').fill('0 0 30 2 *')
    await dialog.getByText('names a time that never comes').waitFor()
    server.answer({
      'run_schedules.times': ({ timeZone }) => ({ timeZone, items: ['2026-01-05T06:00:00.000Z'] }),
      'run_schedules.create': () => {
        throw new Refusal('policy.denied', 'no policy allows person:per_01 runs.start on Run *')
      },
    })
    await dialog.getByLabel('Five fields of cron').fill('0 7 * * 1')
    await dialog.getByLabel('Time zone').fill('Asia/Tokyo')
    await dialog.getByText('Due next (Asia/Tokyo)').waitFor()
    await dialog.getByText('Mon 5 Jan, 15:00').waitFor()
    await dialog.getByLabel('Missed times').selectOption('are left out')
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'Add it' }).click()
    await dialog.getByText('no policy allows person:per_01 runs.start').waitFor()
    assert.deepEqual(callsOf('run_schedules.create')[0]?.input, {
      flow: 'diagnose',
      input: { service: 'shop', sinceMinutes: 90 },
      cron: '0 7 * * 1',
      timeZone: 'Asia/Tokyo',
      missed: 'skip',
      overlap: 'skip',
    })
    assert.equal(await dialog.getByLabel('service', { exact: true }).inputValue(), 'shop')
  })

  test('WORK-1: one is changed with what it has; what is not JSON yet is not sent', async (t) => {
    const { page } = await open(t, '/runs/schedules')
    await page.getByRole('button', { name: 'Change Deploy the release train' }).click()
    const dialog = page.getByRole('dialog')
    const monitor = dialog.getByLabel('monitor')
    assert.equal(await monitor.inputValue(), '{"connection":"metrics"}')
    await monitor.fill('{"connection":')
    await dialog.getByText('This is not JSON yet.').waitFor()
    assert.ok(await dialog.getByRole('button', { name: 'Change it' }).isDisabled())
    await monitor.fill('{"connection":"health"}')
    await dialog.getByLabel('method').selectOption('squash')
    await dialog.getByLabel('isDraft').selectOption('false')
    await dialog.getByLabel('While an earlier run goes on').selectOption('both run')
    await dialog.getByRole('button', { name: 'Change it' }).click()
    await page.getByText('The schedule is changed').waitFor({ state: 'attached' })
    assert.deepEqual(callsOf('run_schedules.change')[0]?.input, {
      scheduleId: 'sch_22',
      title: 'Deploy the release train',
      input: {
        pullRequest: 123,
        method: 'squash',
        reviewers: ['ada', 'grace'],
        isDraft: false,
        monitor: { connection: 'health' },
      },
      cron: '15 6,18 * * 1-5',
      timeZone: 'Europe/Zurich',
      missed: 'skip',
      overlap: 'allow',
    })
  })
})
