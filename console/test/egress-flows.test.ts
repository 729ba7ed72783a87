// UI-1: what agents may borrow and where it may go, in a real browser, against the contract.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertClean } from './support/browser.ts'
import { auditChain } from './support/fixtures.ts'
import { fullHandlers } from './support/scenarios.ts'
import { narrow, openStage } from './support/stage.ts'

const { server, open, callsOf } = openStage()

describe('UI-1, LEND-1: the page of an agent', () => {
  test('a grant shows what it allows, and is ended with a reason', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', narrow)
    const { page } = seen
    await page.getByText('Refunds of the spring sale').waitFor()
    await page.getByText('POST api.stripe.com/v1/*/refunds').waitFor()
    await page.getByRole('button', { name: /^End…/ }).click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('The sale is over')
    await page.getByRole('button', { name: 'End it' }).click()
    await page.getByRole('dialog', { name: 'End this grant?' }).waitFor({ state: 'detached' })
    assert.deepEqual(callsOf('grants.end')[0]?.input, { grantId: 'grt_1', reason: 'The sale is over' })
    await assertClean(seen)
  })

  test('LEND-2: certificates of other machines are shown, and one is revoked with a reason', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', narrow)
    const { page } = seen
    await page.getByText('5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d…').waitFor()
    await page.getByText('revoked: The laptop was lost').waitFor()
    await page.getByRole('button', { name: /^Revoke….*certificate/ }).click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('The machine was sold')
    await page.getByRole('button', { name: 'Revoke it' }).click()
    await page.getByRole('dialog', { name: 'Revoke this certificate?' }).waitFor({ state: 'detached' })
    const [asked] = callsOf('certificates.revoke')
    assert.deepEqual(asked?.input, { certificateId: 'crt_1', reason: 'The machine was sold' })
    await assertClean(seen)
  })

  test('LEND-2: a placeholder that was sent elsewhere is an alert, for the agent that sent it', async (t) => {
    const [known] = auditChain(1)
    assert.ok(known)
    const reason = 'The lease lea_1 is not for POST evil.example:443/: only api.stripe.com.'
    const entry = { ...known, type: 'lease.misused' as const, outcome: 'denied' as const, detail: { reason } }
    const others = ['agent:agt_1', 'agent:agt_2'].map((actor, i) => ({ ...entry, actor, id: `aud_${i}` }))
    server.answer({ ...fullHandlers(), 'audit.list': () => ({ items: others, next: null }) })
    const seen = await open(t, '/agents?agent=agt_1', narrow)
    await seen.page.getByText('It misused placeholders').waitFor()
    assert.equal(await seen.page.getByText(reason).count(), 1)
    await assertClean(seen)
  })

  test('a request is explained without being sent', async (t) => {
    const seen = await open(t, '/agents?agent=agt_1', narrow)
    const { page } = seen
    await page.getByRole('textbox', { name: 'Address' }).fill('https://api.stripe.com/v1/charges')
    await page.getByRole('button', { name: 'Explain' }).click()
    await page.getByText('It would be refused').waitFor()
    await page.getByText('It allows only POST there.').waitFor()
    assert.deepEqual(callsOf('egress.explain')[0]?.input, {
      agentId: 'agt_1',
      url: 'https://api.stripe.com/v1/charges',
      method: 'GET',
    })
    await assertClean(seen)
  })
})
