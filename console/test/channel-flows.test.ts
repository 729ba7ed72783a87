// UI-1, APPR-2: channels are tested, and chat accounts linked and parted, in a real browser.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertClean } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import { narrow, openStage } from './support/stage.ts'

describe('UI-1, APPR-2: channels', () => {
  const { server, open, callsOf } = openStage()

  test('CONN-1: a test is sent and a refusal shown in its words; what was given up is tried again', async (t) => {
    const { page } = await open(t, '/integrations/channels')
    const line = (name: string) => page.getByRole('listitem').filter({ hasText: name })
    await line('releases').getByRole('button', { name: 'Send a test' }).click()
    await page.getByText('releases was sent a test').waitFor()
    assert.deepEqual(callsOf('channels.test')[0]?.input, { channelId: 'chn_1' })
    server.answer({
      'channels.test': () => {
        throw new Refusal('channel.refused', 'releases: Slack answered not_in_channel')
      },
    })
    await line('releases').getByRole('button', { name: 'Send a test' }).click()
    await page.getByText('Slack answered not_in_channel').waitFor()
    await line('on-call').getByRole('button', { name: 'Try again' }).click()
    await page.getByText('What was given up for on-call is tried again').waitFor()
    assert.deepEqual(callsOf('channels.retry')[0]?.input, { channelId: 'chn_2' })
  })

  test('APPR-2: a channel is added with what its kind asks for, and removed after a second look', async (t) => {
    const { page, ...seen } = await open(t, '/integrations/channels', narrow)
    await page.getByRole('button', { name: 'Add a channel' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Where').selectOption('E-mail')
    await dialog.getByLabel('Name').fill('ops-mail')
    await dialog.getByLabel('Mail server').fill('mail.example.com')
    await dialog.getByLabel('Port').fill('465')
    await dialog.getByLabel('From').fill('keyward@example.com')
    await dialog.getByLabel('To, several with commas').fill('ops@example.com, it@example.com')
    await assertClean({ page, ...seen })
    server.answer({
      'channels.create': () => {
        throw new Refusal('channel.exists', "there is a channel 'ops-mail' already")
      },
    })
    await dialog.getByRole('button', { name: 'Add it' }).click()
    await dialog.getByText("there is a channel 'ops-mail' already").waitFor()
    assert.deepEqual(callsOf('channels.create')[0]?.input, {
      kind: 'email',
      name: 'ops-mail',
      settings: {
        host: 'mail.example.com',
        port: 465,
        from: 'keyward@example.com',
        to: ['ops@example.com', 'it@example.com'],
      },
      secretPath: null,
      allowPrivate: false,
    })
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Remove on-call' }).click()
    await page.getByRole('button', { name: 'Keep it' }).click()
    assert.equal(callsOf('channels.remove').length, 0)
    await page.getByRole('button', { name: 'Remove on-call' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await page.getByText('on-call is removed').waitFor()
    assert.deepEqual(callsOf('channels.remove')[0]?.input, { channelId: 'chn_2' })
  })

  test('APPR-2: what a channel is told is changed: a route is edited, another added, and one removed', async (t) => {
    const { page, ...seen } = await open(t, '/integrations/channels', narrow)
    await page.getByRole('button', { name: 'What on-call is told' }).click()
    const dialog = page.getByRole('dialog')
    const first = dialog.getByRole('group', { name: 'Route 1' })
    await first.getByLabel('Events').fill('approval.requested, vault.seeled')
    await first.getByText('There is no event vault.seeled.').waitFor()
    assert.ok(await dialog.getByRole('button', { name: 'Change it' }).isDisabled())
    await first.getByLabel('Events').fill('approval.requested, vault.sealed')
    await first.getByLabel('high').uncheck()
    await first.getByLabel('Flows').fill('deploy-feature')
    await dialog.getByRole('button', { name: 'Add a route' }).click()
    await dialog.getByRole('button', { name: 'Add a route' }).click()
    await dialog.getByRole('button', { name: 'Remove route 2' }).click()
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'Change it' }).click()
    await page.getByText('What on-call is told is changed').waitFor({ state: 'attached' })
    assert.deepEqual(callsOf('channels.change')[0]?.input, {
      channelId: 'chn_2',
      routes: [
        { events: ['approval.requested', 'vault.sealed'], risks: ['critical'], flows: ['deploy-feature'] },
        { events: ['approval.requested'], risks: [], flows: [] },
      ],
    })
  })

  test('APPR-2: a code is shown once, and an account is parted after a second look', async (t) => {
    const { page, ...seen } = await open(t, '/integrations/channels')
    await page.getByRole('button', { name: 'Link my account' }).click()
    const dialog = page.getByRole('dialog')
    assert.match(
      (await dialog.locator('[data-revealed]').textContent()) ?? '',
      /^\/keyward link made-up-[0-9a-f]{16}$/,
    )
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'I have kept it' }).click()
    await dialog.waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Part grace from the account' }).click()
    assert.equal(callsOf('channels.unlink').length, 0)
    await page.getByRole('button', { name: 'Part it', exact: true }).click()
    await page.getByText('grace is parted from the account').waitFor()
    assert.deepEqual(callsOf('channels.unlink')[0]?.input, { accountId: 'cha_1' })
  })
})
