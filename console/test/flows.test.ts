// UI-1: what a person does in the console, in a real browser, against the contract.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { assertClean, picture, settle } from './support/browser.ts'
import { Refusal } from './support/console-server.ts'
import * as data from './support/fixtures.ts'
import { goByKeys } from './support/keys.ts'
import { run } from './support/run-fixtures.ts'
import { narrow, openStage } from './support/stage.ts'

const { server, open, openAlone, callsOf } = openStage()

const focused = (page: Page) => page.evaluate(() => document.activeElement?.textContent ?? '')

describe('UI-1: signing in', () => {
  const code = `code-${data.agentKey.slice(4)}`
  const signedOut = (): never => {
    throw new Refusal('session.required', 'no session')
  }

  test('a link signs in, and its code leaves the address at once', async (t) => {
    server.answer({ 'session.exchange': () => ({ session: data.session, token: null }) })
    const { page, complaints } = await open(t, `/#code=${code}`)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    assert.equal(new URL(page.url()).hash, '')
    assert.deepEqual(callsOf('session.exchange')[0]?.input, { code, kind: 'cookie' })
    await page.goBack().catch(() => undefined)
    assert.doesNotMatch(page.url(), /code=/)
    assert.deepEqual(complaints, [])
  })

  test('a used link is refused with what to do, and the code can be pasted instead', async (t) => {
    server.answer({
      'session.read': signedOut,
      'session.exchange': () => {
        throw new Refusal('session.code_invalid', 'The code was used 4 minutes ago.')
      },
    })
    const seen = await open(t, `/sign-in#code=${code}`)
    await seen.page.getByText('The code was used 4 minutes ago.').waitFor()
    await seen.page.getByText('keyward login --link').waitFor()
    await picture(seen.page, 'sign-in-refused')
    await assertClean(seen)
    server.answer({
      'session.exchange': () => ({ session: data.session, token: null }),
      'session.read': () => data.session,
    })
    await seen.page.getByLabel('Or paste the link here').fill(`${server.origin}/#code=${code}-2`)
    await seen.page.keyboard.press('Enter')
    await seen.page.getByRole('heading', { name: 'Overview' }).waitFor()
    assert.equal(callsOf('session.exchange').at(-1)?.input['code'], `${code}-2`)
  })

  test('without a session every page is the way in, and keeps its address', async (t) => {
    server.answer({ 'session.read': signedOut })
    const seen = await open(t, '/approvals/apr_1', narrow)
    await seen.page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    await picture(seen.page, 'sign-in-signed-out')
    await assertClean(seen)
    assert.match(seen.page.url(), /\/approvals\/apr_1$/)
  })

  test('a session that ends in the middle of work leads to the way in', async (t) => {
    const { page } = await open(t, '/findings')
    await settle(page)
    server.answer({ 'session.read': signedOut, 'runs.list': signedOut })
    await page.getByRole('link', { name: 'Runs' }).click()
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
  })
})

describe('UI-1: approving', () => {
  test('APPR-1: by keyboard alone: find, read, give a reason, approve exactly this digest', async (t) => {
    const { page, complaints } = await open(t, '/')
    await settle(page)
    await goByKeys(page, 'a', 'Approvals')
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1')
    await settle(page)
    await tabTo(page, 'Move four secrets')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Your answer' }).waitFor()
    await tabToLabel(page, 'Reason')
    await page.keyboard.type('Reviewed the four files')
    server.answer({
      'approvals.approve': ({ reason }) => ({
        ...data.approval,
        state: 'approved',
        mode: 'self',
        decidedBy: 'person:per_01',
        reason,
        decidedAt: data.approval.requestedAt,
      }),
    })
    await tabTo(page, 'Approve')
    await page.keyboard.press('Enter')
    await page.getByText('Approved: the run goes on').waitFor()
    const [call] = callsOf('approvals.approve')
    assert.deepEqual(call?.input, {
      approvalId: 'apr_1',
      digest: data.approval.digest,
      reason: 'Reviewed the four files',
    })
    assert.equal(call?.headers['x-keyward-csrf'], '1')
    assert.deepEqual(complaints, [])
  })

  test('what cannot be undone is asked about once more', async (t) => {
    const seen = await open(t, '/approvals/apr_2')
    await settle(seen.page)
    await seen.page.getByRole('button', { name: 'Approve…' }).click()
    await seen.page.getByRole('dialog', { name: 'Approve what cannot be undone?' }).waitFor()
    await assertClean(seen)
    await picture(seen.page, 'approval-grave')
    await seen.page.keyboard.press('Escape')
    assert.equal(callsOf('approvals.approve').length, 0)
    await seen.page.waitForFunction(() => document.activeElement?.textContent === 'Approve…')
  })

  test('APPR-1: other arguments: what does not fit is said beside them, and the new question is shown', async (t) => {
    const { page, ...seen } = await open(t, '/approvals/apr_1')
    server.answer({
      'approvals.change': () => {
        throw new Refusal('approval.arguments', 'args.files: Too big')
      },
    })
    await page.getByRole('button', { name: 'Change the arguments…' }).click()
    const args = page.getByLabel('Arguments, as JSON')
    assert.deepEqual(JSON.parse(await args.inputValue()), { files: 2 })
    await args.fill('{')
    await page.getByRole('button', { name: 'Ask with these' }).click()
    await page.getByText('This is not JSON.').waitFor()
    await page.getByText('Say it in three characters or more.').waitFor()
    assert.equal(callsOf('approvals.change').length, 0)
    await args.fill('{"files": 9}')
    await page.getByLabel('Reason', { exact: true }).fill('nine')
    await page.getByRole('button', { name: 'Ask with these' }).click()
    await page.getByText('args.files: Too big').waitFor()
    await assertClean({ page, ...seen })
    const next = { ...data.approval, id: 'apr_9', changedBy: ['person:per_01'], replaces: 'apr_1' }
    server.answer({ 'approvals.change': () => next, 'approvals.read': () => next })
    await args.fill('{"files": 1}')
    await page.getByRole('button', { name: 'Ask with these' }).click()
    await page.waitForURL('**/approvals/apr_9')
    await page.getByText('changed the arguments').waitFor()
    const { digest } = data.approval
    assert.deepEqual(callsOf('approvals.change').at(-1)?.input, {
      approvalId: 'apr_1',
      digest,
      args: { files: 1 },
      reason: 'nine',
    })
  })

  test('APPR-2: of a thousand in the inbox only those in sight are drawn, and what is alike and of low risk is answered at once', async (t) => {
    const many = Array.from({ length: 1000 }, (_, i) => ({
      ...data.approval,
      id: `apr_${1000 + i}`,
      title: `Question ${i}`,
      action: i === 1 ? 'slack.post' : 'github.create-branch',
      risk: i === 2 ? ('high' as const) : ('low' as const),
    }))
    server.answer({
      'approvals.list': ({ cursor }) => {
        const at = Number(cursor ?? 0)
        return { items: many.slice(at, at + 100), next: at < 900 ? String(at + 100) : null }
      },
      'approvals.answer_many': ({ answers }) => ({
        items: (answers as { approvalId: string }[]).map(({ approvalId }, i) =>
          i === 0
            ? { approvalId, state: null, code: 'approval.self', detail: 'you asked for it yourself' }
            : { approvalId, state: 'approved', code: null, detail: null },
        ),
      }),
    })
    const { page, ...seen } = await open(t, '/approvals', narrow)
    await settle(page)
    await page.getByRole('checkbox', { name: 'Choose Question 0 on' }).check()
    assert.equal(
      await page.getByRole('checkbox', { name: 'Choose Question 1 on' }).count(),
      0,
      'another action',
    )
    assert.equal(
      await page.getByRole('checkbox', { name: 'Choose Question 2 on' }).count(),
      0,
      'of high risk',
    )
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'All 98' }).click()
    await page.getByRole('button', { name: 'Answer…' }).click()
    const dialog = page.getByRole('dialog', { name: 'One answer for 98' })
    await dialog.getByLabel('Reason').fill('The release train')
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'Approve 98' }).click()
    await dialog.getByText('Not answered: you asked for it yourself').waitFor()
    const { digest } = data.approval
    assert.deepEqual(callsOf('approvals.answer_many')[0]?.input, {
      decision: 'approved',
      reason: 'The release train',
      answers: many
        .slice(0, 100)
        .filter((_, i) => i !== 1 && i !== 2)
        .map(({ id }) => ({ approvalId: id, digest })),
    })
    await dialog.getByRole('button', { name: 'Close', exact: true }).last().click()
    await dialog.waitFor({ state: 'detached' })
    // Everything is read again after the answer, and page after page as the end comes near.
    const last = page.getByRole('link', { name: 'Question 999' })
    while ((await last.count()) === 0) await page.mouse.wheel(0, 8000)
    assert.ok((await page.locator('main li[data-index]').count()) < 60, 'few of them are drawn')
  })

  test('APPR-2: rights that are lent and answers given ahead are listed, and ended', async (t) => {
    const { page, ...seen } = await open(t, '/approvals/rights', narrow)
    await page.getByText('github.create-branch').waitFor()
    await page.getByText('On holiday').waitFor()
    await assertClean({ page, ...seen })
    await page.getByRole('button', { name: 'End… dlg_1' }).click()
    await page.getByRole('button', { name: 'End it', exact: true }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    assert.deepEqual(callsOf('delegations.end')[0]?.input, { delegationId: 'dlg_1' })
  })

  test('APPR-2: a right to answer is lent, and an answer given ahead; a refusal keeps what was written', async (t) => {
    const { page, ...seen } = await open(t, '/approvals/rights', narrow)
    await page.getByRole('button', { name: 'Let somebody answer for me…' }).click()
    const dialog = page.getByRole('dialog')
    assert.equal(await dialog.getByRole('option', { name: 'owner' }).count(), 0, 'nobody lends to themselves')
    await dialog.getByLabel('Who').selectOption('grace')
    await dialog.getByLabel('For').selectOption('7 days')
    await dialog.getByLabel('Reason').fill('On holiday')
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'Lend it' }).click()
    await dialog.waitFor({ state: 'detached' })
    const lent = { personId: 'per_02', ttlSeconds: 604_800, reason: 'On holiday' }
    assert.deepEqual(callsOf('delegations.create')[0]?.input, lent)
    server.answer({
      'approval_grants.create': () => {
        throw new Refusal('policy.denied', 'no policy allows person:per_01 approval_grants.create')
      },
    })
    await page.getByRole('button', { name: 'Allow something ahead…' }).click()
    await dialog.getByLabel('Action').fill('github.create-branch')
    await dialog.getByLabel('Target').fill('example/shop')
    await dialog.getByLabel('Arguments that must be so').fill('{"base": ')
    await dialog.getByText('This is not a JSON object yet.').waitFor()
    assert.ok(await dialog.getByRole('button', { name: 'Allow it' }).isDisabled())
    await dialog.getByLabel('Arguments that must be so').fill('{"base": "main"}')
    await dialog.getByLabel('Of a risk that is').selectOption('low or medium')
    await dialog.getByLabel('Reason').fill('Release')
    await assertClean({ page, ...seen })
    await dialog.getByRole('button', { name: 'Allow it' }).click()
    await dialog.getByText('no policy allows person:per_01').waitFor()
    assert.equal(await dialog.getByLabel('Target').inputValue(), 'example/shop')
    assert.deepEqual(callsOf('approval_grants.create')[0]?.input, {
      action: 'github.create-branch',
      target: 'example/shop',
      args: { base: 'main' },
      maxRisk: 'medium',
      ttlSeconds: 3600,
      reason: 'Release',
    })
  })

  test('APPR-2: with two people needed, one answer counts and the page says who is missing', async (t) => {
    const { page, ...seen } = await open(t, '/approvals/apr_2')
    await page.getByText('2 people have to allow it; 1 did').waitFor()
    await page.getByText('Read every change').waitFor()
    await page.getByText('Of release or on-call').waitFor()
    await page.getByText('The checkout of all shops').waitFor()
    server.answer({
      'approvals.approve': () => ({ ...data.graveApproval, quorum: 3 }),
      'approvals.read': () => ({ ...data.graveApproval, quorum: 3 }),
    })
    await page.getByRole('button', { name: 'Approve…' }).click()
    await page.getByRole('button', { name: 'Approve it' }).click()
    await page.getByText('Your answer counts; others still have to answer').waitFor()
    await page.getByText('3 people have to allow it; 1 did').waitFor()
    await assertClean({ page, ...seen })
  })

  test('APPR-2: on a phone the way to the answer stays below the thumb until the answer is in sight', async (t) => {
    const { page, ...seen } = await open(t, '/approvals/apr_1', narrow)
    const way = page.getByRole('button', { name: 'To your answer' })
    await way.waitFor()
    await assertClean({ page, ...seen })
    await way.click()
    await way.waitFor({ state: 'detached' })
    await page.waitForFunction(() => document.activeElement?.tagName === 'TEXTAREA')
  })

  test('APPR-1: an answer that is refused shows why, and what is true now', async (t) => {
    const { page } = await open(t, '/approvals/apr_1')
    await settle(page)
    server.answer({
      'approvals.deny': () => {
        throw new Refusal('approval.void', 'The plan changed after you opened this page; nothing was run.')
      },
    })
    await page.getByRole('button', { name: 'Deny' }).click()
    await page.getByText('The plan changed after you opened this page; nothing was run.').waitFor()
    server.answer({ 'approvals.read': () => ({ ...data.approval, state: 'voided' }) })
    server.emit({
      seq: 9,
      type: 'approval.voided',
      subject: 'apr_1',
      at: data.approval.requestedAt,
      data: {},
    })
    await page.getByRole('heading', { name: 'Void: the plan changed' }).waitFor()
  })

  test('everything that is hashed is on the page, even what no view understands', async (t) => {
    const { page } = await open(t, '/approvals/apr_2')
    await settle(page)
    assert.match((await page.locator('main').textContent()) ?? '', /shop\/production[\s\S]*aws:s3\/bucket/)
  })
})

describe('UI-1: secrets', () => {
  test('a value is shown only after a question, is in no address and goes away', async (t) => {
    const seen = await openAlone(t, '/vault?secret=secret%2Fleaky-shop%2Fstripe')
    const { page } = seen
    await settle(page)
    await page.clock.install()
    await page.getByRole('button', { name: 'Reveal… value', exact: true }).click()
    assert.equal(callsOf('secrets.reveal').length, 0)
    await picture(page, 'vault-reveal')
    await page.getByRole('button', { name: 'Reveal for 30 s' }).click()
    await page.getByText(data.revealedValue).waitFor()
    assert.deepEqual(callsOf('secrets.reveal')[0]?.input, {
      path: 'secret/leaky-shop/stripe',
      field: 'value',
    })
    assert.ok(!page.url().includes(data.revealedValue))
    for (let second = 0; second < 31; second += 1) await page.clock.runFor(1000)
    await page.getByText(data.revealedValue).waitFor({ state: 'detached' })
  })

  test('IDENT-2: an API key is shown once and gone after', async (t) => {
    const seen = await open(t, '/agents')
    const { page } = seen
    await settle(page)
    await page.getByRole('button', { name: 'Register an agent' }).click()
    await page.getByLabel('Name').fill('Not Valid')
    await page.getByRole('button', { name: 'Register', exact: true }).click()
    await page.getByText('Use 1 to 63 small letters').waitFor()
    assert.equal(callsOf('agents.register').length, 0)
    await page.getByLabel('Name').fill('night-watch')
    await page.getByRole('button', { name: 'Register', exact: true }).click()
    await page.getByText(data.agentKey).waitFor()
    await assertClean(seen)
    await picture(page, 'agent-key')
    await page.getByRole('button', { name: 'I have kept it' }).click()
    await page.getByText(data.agentKey).waitFor({ state: 'detached' })
    assert.ok(!(await page.content()).includes(data.agentKey))
  })

  test('LEND-1: a lease is revoked with a reason', async (t) => {
    const { page } = await open(t, '/agents?agent=agt_1')
    await settle(page)
    await page.getByRole('button', { name: /^Revoke… the lease/ }).click()
    await page.getByLabel('Reason').fill('The charge is done')
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.getByText('The lease is revoked').waitFor()
    assert.deepEqual(callsOf('leases.revoke')[0]?.input, { leaseId: 'lse_1', reason: 'The charge is done' })
  })
})

describe('UI-1: findings and runs', () => {
  const finishedRun = {
    ...run,
    state: 'Succeeded',
    tasks: run.tasks.map((task) => ({ ...task, action: 'findings.rewrite', state: 'Succeeded' })),
    finishedAt: run.createdAt,
  }

  test('DISC-5: chosen findings are reviewed and start one run', async (t) => {
    const { page } = await open(t, '/findings')
    await settle(page)
    await page.getByLabel('Choose Stripe secret key').check()
    await page.getByLabel('Choose Database password in a URL').check()
    await page.reload()
    await settle(page)
    await page.getByRole('link', { name: 'Review import of 2 chosen' }).click()
    await page.getByRole('heading', { name: 'Review the import' }).waitFor()
    await page.getByRole('button', { name: 'Start the import' }).click()
    await page.getByRole('heading', { name: run.title }).waitFor()
    const { flow, input, idempotencyKey } = callsOf('runs.start')[0]?.input ?? {}
    assert.deepEqual([flow, input], ['leaked-key', { findingIds: ['fnd_0', 'fnd_2'] }])
    assert.match(String(idempotencyKey), /^console-[0-9a-f]{32}$/)
  })

  test('a finding is ignored with a reason, never without', async (t) => {
    const { page } = await open(t, '/findings?finding=fnd_4')
    await settle(page)
    await page.getByRole('button', { name: 'Ignore…' }).click()
    await page.getByRole('button', { name: 'Ignore this finding' }).click()
    await page.getByText('Say it in three characters or more.').waitFor()
    await page.getByLabel('Why may it stay?').fill('Belongs to the test system')
    await page.getByRole('button', { name: 'Ignore this finding' }).click()
    await page.getByText('Slack webhook address is ignored').waitFor()
  })

  test('WORK-1: a run is drawn, follows live events, and is cancelled after a question', async (t) => {
    const { page, complaints } = await open(t, '/runs/run_7f3a')
    await settle(page)
    await page.waitForFunction(
      (count) => document.querySelectorAll('[data-task]').length === count,
      run.tasks.length,
    )
    server.answer({ 'runs.read': () => finishedRun })
    server.emit({ seq: 10, type: 'run.finished', subject: run.id, at: run.createdAt, data: {} })
    await page.getByRole('button', { name: 'Put the files back…' }).waitFor()
    server.answer({ 'runs.read': () => run })
    await page.reload()
    await page.getByRole('button', { name: 'Cancel the run…' }).click()
    await page.getByRole('button', { name: 'Cancel the run', exact: true }).click()
    await page.getByText('The run is cancelled').waitFor()
    assert.equal(callsOf('runs.cancel').length, 1)
    assert.deepEqual(complaints, [])
  })

  test('WORK-1: what changes before the page can listen is seen as soon as it does', async (t) => {
    const { page } = await open(t, '/runs')
    const listening = Promise.withResolvers<void>()
    await page.route('**/api/v1/events', async (route) => {
      await listening.promise
      await route.continue()
    })
    await page.goto(`${server.origin}/runs/run_7f3a`)
    await page.getByRole('button', { name: 'Cancel the run…' }).waitFor()
    server.answer({ 'runs.read': () => finishedRun })
    listening.resolve()
    await page.getByRole('button', { name: 'Put the files back…' }).waitFor()
  })
})

describe('UI-1: getting about', () => {
  test('Ctrl-K finds a page by its words', async (t) => {
    const seen = await open(t, '/')
    await settle(seen.page)
    await seen.page.keyboard.press('Control+k')
    await seen.page.getByRole('combobox').waitFor()
    await assertClean(seen)
    await picture(seen.page, 'palette')
    await seen.page.keyboard.type('rules')
    await seen.page.keyboard.press('Enter')
    await seen.page.getByRole('heading', { name: 'Policies', level: 1 }).waitFor()
  })

  test('? shows the shortcuts, and single letters can be turned off', async (t) => {
    const seen = await open(t, '/')
    await settle(seen.page)
    await seen.page.keyboard.press('?')
    await seen.page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    await assertClean(seen)
    await picture(seen.page, 'shortcuts')
    await seen.page.getByLabel('Use shortcuts of single letters').uncheck()
    await seen.page.keyboard.press('Escape')
    await seen.page.getByRole('dialog').waitFor({ state: 'detached' })
    await seen.page.keyboard.press('g')
    await seen.page.keyboard.press('f')
    assert.equal(new URL(seen.page.url()).pathname, '/')
  })

  test('the theme stays after a reload', async (t) => {
    const { page } = await open(t, '/')
    await settle(page)
    await page.getByRole('button', { name: /appearance/ }).click()
    await page.getByRole('menuitemradio', { name: 'Dark' }).click()
    await page.reload()
    await settle(page)
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark')
  })

  test('on a narrow screen the menu is a drawer that closes on arrival', async (t) => {
    const seen = await open(t, '/', narrow)
    await settle(seen.page)
    await seen.page.getByRole('button', { name: 'Open the menu' }).click()
    await seen.page.getByRole('dialog', { name: 'Keyward' }).waitFor()
    await picture(seen.page, 'menu-narrow')
    await assertClean(seen)
    await seen.page.getByRole('link', { name: 'Vault' }).click()
    await seen.page.getByRole('heading', { name: 'Vault', level: 1 }).waitFor()
    await seen.page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  test('GOV-1: the audit table draws only what is in sight and reads on while scrolling', async (t) => {
    const { page } = await open(t, '/audit')
    await settle(page)
    await page.getByText('Signature checked here').waitFor()
    const drawn = await page.locator('tbody tr').count()
    assert.ok(drawn < 80, `${drawn} rows are drawn`)
    await page.waitForFunction(() => {
      window.scrollTo(0, document.body.scrollHeight)
      return document.querySelector('tbody tr:last-child td')?.textContent === '1'
    })
    const asked = new Set(callsOf('audit.list').map(({ input }) => input['cursor']))
    assert.equal(asked.size, 3, 'each part is asked for when it comes into sight')
  })

  test('GOV-1: an entry that was changed is told by its hash', async (t) => {
    const chain = data.auditChain(3)
    server.answer({
      'audit.list': () => ({
        items: chain
          .toReversed()
          .map((entry) => (entry.seq === 2 ? { ...entry, actor: 'person:nobody' } : entry)),
        next: null,
      }),
    })
    const { page } = await open(t, '/audit?entry=2')
    await page.getByText('Recomputed in this browser: it does not fit').waitFor()
  })
})

async function tabTo(page: Page, start: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab')
    if ((await focused(page)).startsWith(start)) return
  }
  assert.fail(`nothing that begins with “${start}” can be reached by Tab`)
}

async function tabToLabel(page: Page, label: string): Promise<void> {
  const wanted = page.getByLabel(label)
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab')
    if (await wanted.evaluate((element) => element === document.activeElement)) return
  }
  assert.fail(`the field “${label}” cannot be reached by Tab`)
}
