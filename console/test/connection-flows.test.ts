// UI-1, CONN-1: services are connected, asked how they are, and forgotten, in a real browser.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertClean } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import { narrow, openStage } from './support/stage.ts'

describe('UI-1, CONN-1: connections', () => {
  const { server, open, callsOf } = openStage()

  test('CONN-1: a service is connected with what its kind asks for; a refusal leaves what was written', async (t) => {
    const { page, ...seen } = await open(t, '/integrations')
    await page.getByText('GitHub does not accept the key of the App').waitFor()
    await page.getByText('in 212 ms').waitFor()
    await page.getByText('github, production').first().waitFor()
    await page.getByRole('button', { name: 'Connect a service' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('shop')
    await dialog.getByLabel('Path of its secret in the vault').fill('secret/github/shop')
    await dialog.getByLabel('Belongs to').fill('staging')
    await dialog.getByLabel('appId').fill('12')
    await dialog.getByLabel('installationId').fill('34')
    await dialog.getByLabel('repositories').fill('team/shop, team/till')
    await assertClean({ page, ...seen })
    server.answer({
      'connections.create': () => {
        throw new Refusal('secret.not_found', 'secret/github/shop has no field private_key')
      },
    })
    await dialog.getByRole('button', { name: 'Connect it' }).click()
    await dialog.getByText('has no field private_key').waitFor()
    assert.equal(await dialog.getByLabel('appId').inputValue(), '12')
    assert.deepEqual(callsOf('connections.create')[0]?.input, {
      name: 'shop',
      connector: 'github',
      settings: { appId: '12', installationId: '34', repositories: ['team/shop', 'team/till'] },
      secretPath: 'secret/github/shop',
      environment: 'staging',
    })
  })

  test('CONN-1: one is asked now, and forgotten after a question, on a phone in the dark', async (t) => {
    const { page, ...seen } = await open(t, '/integrations', narrow)
    await page.getByRole('button', { name: 'Check now' }).first().click()
    await page.getByText('code was asked').waitFor()
    assert.deepEqual(callsOf('connections.check')[0]?.input, { connectionId: 'con_01' })
    await page.getByRole('button', { name: 'Forget code-new' }).click()
    await page.getByText('Its secret stays in the vault').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'Keep it' }).click()
    assert.equal(callsOf('connections.remove').length, 0)
    await page.getByRole('button', { name: 'Forget code-new' }).click()
    await page.getByRole('button', { name: 'Forget it' }).click()
    await page.getByText('code-new is forgotten').waitFor()
    assert.deepEqual(callsOf('connections.remove')[0]?.input, { connectionId: 'con_03' })
  })

  test('CONN-1: a connection is listened to with a secret that is shown once, and a trigger is paused', async (t) => {
    const { page, ...seen } = await open(t, '/integrations')
    await page.getByText('31 that woke what waits').waitFor()
    await page.getByText('the account is closed').waitFor()
    await page.getByRole('button', { name: 'Listen…' }).first().click()
    await page.getByRole('button', { name: 'Issue a secret' }).click()
    await page.getByText('shown-once-and-never-again').waitFor()
    await page.getByText('/api/v1/hooks/github/con_01').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByText('shown-once-and-never-again').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('The trigger is paused').waitFor()
    assert.deepEqual(callsOf('hooks.issue')[0]?.input, { connectionId: 'con_01' })
    assert.deepEqual(callsOf('triggers.change')[0]?.input, { triggerId: 'trg_01', paused: true })
  })

  test('WORK-1: a trigger is added for what GitHub tells; a refusal leaves what was written', async (t) => {
    const { page, ...seen } = await open(t, '/integrations', narrow)
    await page.getByRole('button', { name: 'Add a trigger' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Repository').fill('team')
    await dialog.getByRole('button', { name: 'Add it' }).click()
    assert.equal(callsOf('triggers.create').length, 0)
    await dialog.getByLabel('Repository').fill('team/shop')
    await dialog.getByLabel('Only when it was').fill('opened')
    await dialog.getByLabel('Only with a label').fill('deploy, good to go')
    await dialog.getByLabel('Starts').selectOption({ label: 'Find out what is wrong with a service' })
    await dialog.getByLabel('Its input').fill('{"service":')
    await dialog.getByText('This is not JSON yet.').waitFor()
    assert.equal(await dialog.getByRole('button', { name: 'Add it' }).isDisabled(), true)
    await dialog.getByLabel('Its input').fill('{"service": {"$event": "repository"}}')
    await assertClean({ page, ...seen })
    server.answer({
      'triggers.create': () => {
        throw new Refusal('run.plan_invalid', 'input: service: it is too long')
      },
    })
    await dialog.getByRole('button', { name: 'Add it' }).click()
    await dialog.getByText('service: it is too long').waitFor()
    assert.equal(await dialog.getByLabel('Only with a label').inputValue(), 'deploy, good to go')
    assert.deepEqual(callsOf('triggers.create')[0]?.input, {
      connectionId: 'con_01',
      event: 'pull_request',
      repository: 'team/shop',
      actions: ['opened'],
      branches: [],
      labels: ['deploy', 'good to go'],
      forks: false,
      flow: 'diagnose',
      goal: null,
      input: { service: { $event: 'repository' } },
    })
    await dialog.getByLabel('Told by').selectOption('code-new')
    await dialog.getByText('Nothing comes before you listen to it').waitFor()
  })

  test('WORK-1: a trigger is changed and removed, and one that nothing reaches says so', async (t) => {
    const { page, ...seen } = await open(t, '/integrations')
    await page.getByText('Nothing comes: code-new is not listened to.').waitFor()
    await page.getByRole('button', { name: 'Change Deploy what is labelled' }).click()
    const dialog = page.getByRole('dialog')
    assert.equal(await dialog.getByLabel('Only with a label').inputValue(), 'deploy')
    await dialog.getByLabel('Goal').fill('deploy pull request {number} of team/shop')
    await dialog.getByLabel('Only on branches').fill('')
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'Change it' }).click()
    await page.getByText('The trigger is changed').waitFor()
    assert.deepEqual(callsOf('triggers.change')[0]?.input, {
      triggerId: 'trg_01',
      title: 'Deploy what is labelled',
      actions: ['labeled'],
      branches: [],
      labels: ['deploy'],
      forks: false,
      goal: 'deploy pull request {number} of team/shop',
    })
    await page.getByRole('button', { name: 'Remove Deploy what is labelled' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await page.getByText('The trigger is removed').waitFor()
    assert.deepEqual(callsOf('triggers.remove')[0]?.input, { triggerId: 'trg_01' })
    await page.getByRole('button', { name: 'Listen to code no more' }).click()
    await page.getByText('what GitHub sends is refused').waitFor()
    await page.getByRole('button', { name: 'Listen no more', exact: true }).click()
    await page.getByText('code is listened to no more').waitFor()
    assert.deepEqual(callsOf('hooks.remove')[0]?.input, { connectionId: 'con_01' })
  })
})
