// UI-1: what a person does about findings and schedules, in a real browser, against the contract.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { assertClean, settle, type Visit } from './support/browser.ts'
import { type Input, Refusal } from './support/console-server.ts'
import { fullHandlers } from './support/scenarios.ts'
import { openStage, wide } from './support/stage.ts'

const { server, open: arrive, callsOf } = openStage()

async function open(t: TestContext, path: string, view = wide): Promise<Visit> {
  const seen = await arrive(t, path, view)
  await settle(seen.page)
  return seen
}
const inputsOf = (name: string): Input[] => callsOf(name).map((call) => call.input)

/** Waits until the page has asked for this; what it asks for follows what it shows. */
async function asked(name: string, wanted: Input): Promise<void> {
  const fits = (input: Input): boolean =>
    Object.entries(wanted).every(([field, value]) => isDeepStrictEqual(input[field], value))
  const end = Date.now() + 120_000
  while (!inputsOf(name).some(fits)) {
    if (Date.now() > end) assert.deepEqual(inputsOf(name).at(-1), wanted)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('UI-1: triage of findings', () => {
  test('DISC-5: many findings are ignored up to a day, by keyboard alone', async (t) => {
    const { page } = await open(t, '/findings')
    await page.getByLabel('Choose all shown').focus()
    await page.keyboard.press('Space')
    await page.getByText('6 chosen', { exact: true }).waitFor()
    await page.getByLabel('Choose GitHub token').focus()
    await page.keyboard.press('Space')
    await page.getByText('5 chosen', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Ignore 5…' }).focus()
    await page.keyboard.press('Enter')
    await page.getByLabel('Why may it stay?').fill('A sandbox that is switched off in March')
    await page.getByLabel('How long?').selectOption('up to a day')
    await page.getByRole('button', { name: 'Ignore them' }).click()
    await page.getByText('Choose a day.').waitFor()
    await page.getByLabel('The last day, in UTC').fill('2031-03-31')
    await page.keyboard.press('Enter')
    await page.getByText('5 findings are ignored').waitFor({ state: 'attached' })
    await asked('findings.ignore', {
      findingIds: ['fnd_0', 'fnd_1', 'fnd_2', 'fnd_4', 'fnd_5'],
      reason: 'A sandbox that is switched off in March',
      until: '2031-03-31T23:59:59.999Z',
    })
    await page.getByLabel('Choose all shown').waitFor()
  })

  test('DISC-5: an ignored finding is opened again, and a refusal is shown', async (t) => {
    const { page } = await open(t, '/findings?state=ignored&finding=fnd_30')
    await page.getByText('A key of the test system').waitFor()
    server.answer({
      'findings.reopen': () => {
        throw new Refusal('finding.state', 'not ignored: fnd_30. Nothing was changed.')
      },
    })
    await page.getByRole('button', { name: 'Open again' }).click()
    await page.getByText('not ignored: fnd_30').waitFor()
    server.answer(fullHandlers())
    await page.getByRole('button', { name: 'Open again' }).click()
    await page.getByText('Slack webhook address is open again').waitFor({ state: 'attached' })
    await asked('findings.reopen', { findingIds: ['fnd_30'] })
  })

  test('DISC-3: the detail shows the masked lines, the places and the story of a finding', async (t) => {
    const { page } = await open(t, '/findings?finding=fnd_0')
    await page.getByText('STRIPE_SECRET_KEY=sk_l****x4Qe').waitFor()
    await page.getByText('It lies inside an archive.').waitFor()
    await page.getByText('It stands in 4 places').waitFor()
    await page.getByText('No scan finds it any more.').waitFor()
    await page.getByText('the form belongs to one service').waitFor()
  })

  test('DISC-5: rotating says what Keyward cannot do, and begins with the import', async (t) => {
    const { page } = await open(t, '/findings?finding=fnd_0')
    await page.getByRole('button', { name: 'Rotate…' }).click()
    await page.getByText('Keyward cannot do that for you.').waitFor()
    const provider = page.getByRole('link', { name: /^Keys of Stripe/ })
    assert.equal(await provider.getAttribute('href'), 'https://dashboard.stripe.com/apikeys')
    await page.getByRole('link', { name: 'Begin: review import' }).click()
    await page.getByRole('heading', { name: 'Review the import' }).waitFor()
    await asked('findings.preview', { findingIds: ['fnd_0'] })
  })
})

describe('UI-1: finding findings', () => {
  test('DISC-3: filters stand in the address, reach the server, and are taken away again', async (t) => {
    const { page } = await open(t, '/findings')
    await page.getByRole('searchbox').fill('key')
    await page.keyboard.press('Enter')
    await page.getByLabel('Confidence').selectOption('high')
    await page.getByLabel('Sorted by').selectOption('most places')
    await page.getByText('Stripe secret key').waitFor()
    await page.waitForURL(/text=key&confidence=high&sort=places/)
    await asked('findings.list', { text: 'key', confidence: 'high', sort: 'places', state: 'open' })
    await page.getByLabel('Provider').selectOption({ index: 1 })
    await page.waitForURL(/provider=/)
    await page.reload()
    await settle(page)
    assert.equal(await page.getByRole('searchbox').inputValue(), 'key')
  })

  test('DISC-3: a number of the heat map leads to its findings, a folder into it', async (t) => {
    const { page } = await open(t, '/findings/trend')
    await page.getByRole('link', { name: 'services', exact: true }).click()
    await page.waitForURL(/folder=services/)
    await asked('findings.folders', { folder: 'services' })
    await page.getByRole('link', { name: '41 findings of high confidence in services/services' }).click()
    await page.getByRole('heading', { name: 'Findings' }).waitFor()
    await page.getByRole('button', { name: 'Everywhere' }).waitFor()
    await asked('findings.list', { path: 'services/services', confidence: 'high' })
  })

  test('DISC-3: the trend says in words and as a table what it draws', async (t) => {
    const { page } = await open(t, '/findings/trend')
    const picture = page.getByRole('img', { name: /^Open findings from .* were new, \d+ were dealt with\.$/ })
    await picture.waitFor()
    await page.getByText('The same as a table').click()
    assert.equal(await page.getByRole('rowheader', { name: /^\d{4}-\d{2}-\d{2}$/ }).count(), 30)
    await page.getByLabel('The last').selectOption('90 days')
    await page.waitForURL(/days=(?:%22)?90/)
  })
})

describe('UI-1: schedules', () => {
  test('DISC-7: a schedule is added with its rhythm, zone and repository', async (t) => {
    const seen = await open(t, '/findings/schedules')
    const { page } = seen
    await page.getByRole('button', { name: 'Add a schedule' }).click()
    await page.getByRole('textbox', { name: 'Folder' }).fill('/srv/git/shop.git')
    await page.getByLabel('By the clock').selectOption('as I write it')
    await page.getByLabel('Five fields of cron').fill('0 6 * * 1')
    await page.getByLabel('Time zone').fill('Europe/Zurich')
    await page.getByText('Due next (Europe/Zurich)').waitFor()
    await page.getByLabel('After a push, told by').selectOption('GitHub')
    await page.getByLabel('Repository').fill('team/shop')
    await page.getByLabel('Propose what is newly found for import').uncheck()
    await assertClean(seen)
    await page.getByRole('button', { name: 'Add it' }).click()
    await page.getByText('/srv/git/shop.git is scanned from now on').waitFor({ state: 'attached' })
    assert.deepEqual(inputsOf('schedules.create'), [
      {
        path: '/srv/git/shop.git',
        cron: '0 6 * * 1',
        timeZone: 'Europe/Zurich',
        history: 'new',
        watch: false,
        propose: false,
        push: { provider: 'github', repository: 'team/shop' },
      },
    ])
  })

  test('DISC-7: a refused schedule keeps what was written', async (t) => {
    const { page } = await open(t, '/findings/schedules')
    server.answer({
      'schedules.create': () => {
        throw new Refusal('schedule.exists', '/srv/shop has schedule sch_1. Change or remove it.')
      },
    })
    await page.getByRole('button', { name: 'Add a schedule' }).click()
    await page.getByRole('textbox', { name: 'Folder' }).fill('/srv/shop')
    await page.getByRole('button', { name: 'Add it' }).click()
    await page.getByText('/srv/shop has schedule sch_1').waitFor()
    assert.equal(await page.getByRole('textbox', { name: 'Folder' }).inputValue(), '/srv/shop')
  })

  test('DISC-7: the secret of a webhook is shown once, and gone when the dialog is', async (t) => {
    const { page } = await open(t, '/findings/schedules')
    await page.getByRole('button', { name: 'Issue a secret…' }).click()
    await page.getByRole('button', { name: 'Issue', exact: true }).click()
    const secret = await page.getByText(/^made-for-tests-/).textContent()
    await page.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByText('It is shown now and never again.').waitFor({ state: 'detached' })
    assert.ok(!(await page.content()).includes(secret ?? '-'))
  })

  test('DISC-7: a schedule is run, paused and removed after a question', async (t) => {
    const { page } = await open(t, '/findings/schedules')
    const first = page.getByRole('listitem').filter({ hasText: '/srv/projects/leaky-shop' })
    await first.getByRole('button', { name: 'Scan now' }).click()
    await first.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('The schedule is paused').waitFor({ state: 'attached' })
    await asked('schedules.run', { scheduleId: 'sch_1' })
    await asked('schedules.change', { scheduleId: 'sch_1', paused: true })
    await first.getByRole('button', { name: /^Remove the schedule of/ }).click()
    await page.getByRole('button', { name: 'Keep it' }).click()
    assert.deepEqual(inputsOf('schedules.remove'), [])
    await first.getByRole('button', { name: /^Remove the schedule of/ }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await page.getByText('The schedule is removed').waitFor({ state: 'attached' })
    await asked('schedules.remove', { scheduleId: 'sch_1' })
  })
})
