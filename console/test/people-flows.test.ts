// UI-1, IDENT-1: people are added, given roles and groups, and let in again, in a real browser.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertClean } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import { narrow, openStage } from './support/stage.ts'

describe('UI-1, IDENT-1: people', () => {
  const { server, open, callsOf } = openStage()

  test('IDENT-1: one is added, and the link that lets them in is shown once, with its code in the fragment', async (t) => {
    const { page, ...seen } = await open(t, '/people')
    await page.getByRole('button', { name: 'Add a person' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Add' }).click()
    await dialog.getByText('begin with a letter or digit').waitFor()
    assert.equal(callsOf('people.create').length, 0)
    await dialog.getByLabel('Name').fill('barbara')
    await dialog.getByLabel('operator').check()
    await dialog.getByLabel('Groups').fill('Release, on-call')
    await dialog.getByRole('button', { name: 'Add' }).click()
    const link = await dialog.locator('[data-revealed]').textContent()
    assert.match(link ?? '', /^http:\/\/127\.0\.0\.1:\d+\/#code=made%2Bup-[0-9a-f]{24}$/)
    assert.deepEqual(callsOf('people.create')[0]?.input, {
      name: 'barbara',
      roles: ['approver', 'operator'],
      groups: ['release', 'on-call'],
    })
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'I have kept it' }).click()
    await dialog.waitFor({ state: 'hidden' })
    assert.equal((await page.content()).includes('made%2Bup'), false, 'it is gone with the dialog')
  })

  test('IDENT-1: roles and groups are set; a refusal is shown and what was chosen stays', async (t) => {
    const { page } = await open(t, '/people?person=per_02')
    const panel = page.getByRole('complementary', { name: 'grace' })
    await panel.getByLabel('approver').uncheck()
    server.answer({
      'people.roles': () => {
        throw new Refusal('person.last_owner', 'Somebody has to stay owner.')
      },
    })
    await panel.getByRole('button', { name: 'Set the roles' }).click()
    await panel.getByText('Somebody has to stay owner.').waitFor()
    assert.equal(await panel.getByLabel('approver').isChecked(), false)
    await panel.getByLabel('Groups').fill('no way!')
    await panel.getByText('“way!” is no name').waitFor()
    await panel.getByLabel('Groups').fill('finance')
    await panel.getByRole('button', { name: 'Set the groups' }).click()
    await page.getByText('The groups of grace are set').waitFor()
    assert.deepEqual(callsOf('people.groups')[0]?.input, { personId: 'per_02', groups: ['finance'] })
  })

  test('IDENT-1: a new link, and an account that is closed with a reason, on a phone in the dark', async (t) => {
    const { page, ...seen } = await open(t, '/people?person=per_02', narrow)
    await page.getByRole('button', { name: 'New sign-in link' }).click()
    await page.getByText('shown only now').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByRole('button', { name: 'Close the account…' }).click()
    await page.getByRole('button', { name: 'Close the account', exact: true }).click()
    await page.getByText('three characters or more').waitFor()
    assert.equal(callsOf('people.disable').length, 0)
    await page.getByLabel('Reason').fill('left the company')
    await page.getByRole('button', { name: 'Close the account', exact: true }).click()
    await page.getByText('The account of grace is closed').waitFor()
    assert.deepEqual(callsOf('people.disable')[0]?.input, { personId: 'per_02', reason: 'left the company' })
  })
})
