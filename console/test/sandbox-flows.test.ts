// UI-1: sandboxes that run, what left them, what an agent can reach and what a task prints, in a real browser.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertClean, settle } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import { requests } from './support/egress-fixtures.ts'
import { mixedRun } from './support/run-fixtures.ts'
import { narrow, openStage } from './support/stage.ts'

const { server, open, callsOf } = openStage()

describe('UI-1, SAND-1: sandboxes', () => {
  test('what each uses of its limits stands in words, and one is ended with a reason', async (t) => {
    const seen = await open(t, '/agents/sandboxes', narrow)
    const { page } = seen
    await page.getByText('471 MiB of 512 MiB').first().waitFor()
    assert.equal(await page.getByRole('meter', { name: 'Memory' }).count(), 2)
    await page.getByRole('button', { name: 'End… the sandbox run_7f3a-lend-1' }).click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('It calls the API too often')
    await page.getByRole('button', { name: 'End it' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    assert.deepEqual(callsOf('sandboxes.end')[0]?.input, {
      sandboxId: 'run_7f3a-lend-1',
      reason: 'It calls the API too often',
    })
    await assertClean(seen)
  })
})

describe('UI-1, SAND-1: images', () => {
  test('each is listed with digest, size and use; what is used is not removed, and the other after a second look', async (t) => {
    const seen = await open(t, '/agents/sandboxes')
    const { page } = seen
    await page.getByText('220 MiB, 18204 files, of node-22-bookworm-slim.tar').waitFor()
    await page.getByText('Commands that run in it: 1 · agents that use it: 1').waitFor()
    assert.ok(await page.getByRole('button', { name: 'Remove the image node' }).isDisabled())
    server.answer({
      'images.remove': () => {
        throw new Refusal('image.in_use', 'a command runs in tools now')
      },
    })
    await page.getByRole('button', { name: 'Remove the image tools' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await page.getByText('a command runs in tools now').waitFor()
    assert.deepEqual(callsOf('images.remove')[0]?.input, { imageName: 'tools' })
    await assertClean(seen)
  })

  test('an agent is given another image, or the files of the machine', async (t) => {
    const { page } = await open(t, '/agents?agent=agt_1')
    const image = page.getByLabel('Image of its commands')
    await image.waitFor()
    assert.equal(await image.inputValue(), 'node')
    await image.selectOption('tools')
    await page.getByText('The image is changed').waitFor({ state: 'attached' })
    await image.selectOption('the machine’s own files')
    server.answer({
      'images.assign': () => {
        throw new Refusal('image.not_found', 'There is no image "tools".')
      },
    })
    await image.selectOption('tools')
    await page.getByText('There is no image "tools".').waitFor()
    assert.deepEqual(
      callsOf('images.assign').map(({ input }) => input),
      ['tools', null, 'tools'].map((name) => ({ agentId: 'agt_1', image: name })),
    )
  })
})

describe('UI-1, LEND-2: what left the sandboxes', () => {
  test('new requests come by themselves, and not while one is read', async (t) => {
    const seen = await open(t, '/agents/egress')
    const { page } = seen
    await page.getByRole('button', { name: 'Following' }).waitFor()
    const [first] = requests
    assert.ok(first)
    const later = (seq: number, path: string) => ({ ...first, seq, path })
    const answer = (...more: (typeof requests)[number][]): void =>
      server.answer({ 'egress.requests': () => ({ items: [...more, ...requests], next: null }) })
    answer(later(901, '/v1/came-later'))
    await page.getByText('/v1/came-later').waitFor()
    await page.getByText('GET evil.example/collect').click()
    await page.getByText('only api.stripe.com.').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Follow', exact: true }).count(), 1)
    answer(later(902, '/v1/came-last'))
    await page.getByRole('button', { name: 'What would become of it now?' }).click()
    await page.getByText('It would be refused').waitFor()
    assert.equal(callsOf('egress.explain')[0]?.input['url'], 'https://evil.example:443/collect')
    assert.equal(await page.getByText('/v1/came-last').count(), 0)
    await assertClean(seen)
    await page.getByRole('button', { name: 'Follow', exact: true }).click()
    await page.getByText('/v1/came-last').waitFor()
  })

  test('filters stand in the address, and what matches nothing says so', async (t) => {
    const seen = await open(t, '/agents/egress?agent=agt_2', narrow)
    const { page } = seen
    await page.getByRole('button', { name: 'Only release-bot' }).waitFor()
    await page.getByText('packages.internal.example').first().waitFor()
    assert.equal(await page.getByText('evil.example').count(), 0)
    await page.getByRole('button', { name: 'Only release-bot' }).click()
    await page.getByRole('link', { name: 'Misused' }).click()
    await page.getByText('GET evil.example/collect').waitFor()
    assert.match(page.url(), /outcome=misused/)
    await page.getByRole('textbox', { name: 'Host' }).fill('nowhere.example')
    await page.getByRole('button', { name: 'Show', exact: true }).click()
    await page.getByText('No request matches').waitFor()
    assert.deepEqual(callsOf('egress.requests').at(-1)?.input, {
      host: 'nowhere.example',
      outcome: 'misused',
      limit: 100,
    })
    await assertClean(seen)
  })
})

describe('UI-1, LEND-1: what an agent can reach', () => {
  test('each way out is told with what is wide or refused, and an agent without any is told apart', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1')
    const { page } = seen
    await page.getByRole('link', { name: 'What it can reach' }).click()
    await page.getByText('2 secrets to 2 hosts').waitFor()
    await page.getByText('in any place of a request, any method, any path').last().waitFor()
    await page.getByText('Forbidden by no-private-places.').waitFor()
    await assertClean(seen)
    await page.getByLabel('Agent', { exact: true }).selectOption('release-bot')
    await page.getByText('can send no secret anywhere').waitFor()
    await assertClean(seen)
  })
})

describe('UI-1, SAND-1: what a task prints', () => {
  test('it is shown as it comes, with a mark where a value was taken out', async (t) => {
    const [task] = mixedRun.tasks.filter(({ state }) => state === 'Running')
    assert.ok(task)
    const chunk = { at: mixedRun.createdAt, attempt: 1, stream: 'stdout' as const }
    const chunks = [{ ...chunk, seq: 1, text: 'key: [redacted by Keyward]\n' }]
    server.answer({ 'runs.output': () => ({ chunks, missed: false, ended: false, last: 1 }) })
    const seen = await open(t, `/runs/run_mixed?task=${task.id}`, narrow)
    const { page } = seen
    await settle(page)
    await page.getByText('What it prints, live', { exact: true }).waitFor()
    assert.equal(await page.locator('mark').textContent(), 'redacted')
    await assertClean(seen)
  })

  test('a stream that is refused says so', async (t) => {
    const [task] = mixedRun.tasks.filter(({ state }) => state === 'Running')
    const { page } = await open(t, '/runs')
    await page.route('**/output/stream', (route) => route.fulfill({ status: 503, body: '' }))
    await page.goto(`${server.origin}/runs/run_mixed?task=${task?.id}`)
    await page.getByText('The server does not send what it prints.').waitFor()
  })
})
