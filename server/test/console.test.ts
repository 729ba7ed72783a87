// UI-1: what a person does in the console, in a real browser on the real server: from the printed link to signing out.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { api, type FindingView } from '@keyward/contract'
import type { Page } from 'playwright-core'
import { goByKeys } from '../../console/test/support/keys.ts'
import { assertGood, openBrowser, openVisitor, settle, tabTo, type Visitor } from './support/browser.ts'
import { eventually } from './support/eventually.ts'
import { makeLeakyProject, newPaymentsKey, type Planted, snapshot } from './support/leaky-project.ts'
import { codeOf, type RunningServer, scratchFolder, startServer } from './support/server.ts'

const printedLink = (server: RunningServer): string =>
  /console +(\S+#code=\S+)/.exec(server.output())?.[1] ?? ''

async function go(visitor: Visitor, server: RunningServer, path: string): Promise<void> {
  await visitor.page.goto(`${server.address}${path}`)
  await settle(visitor.page)
}

const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name, level: 1 })

/** A second project, for the runs that are not to be mixed with the first: its findings, by file. */
async function scanSmallProject(t: TestContext, server: RunningServer) {
  const folder = scratchFolder(t, 'small')
  const planted = ['agent.env', 'denied.env'].map((file): Planted => {
    const value = newPaymentsKey()
    writeFileSync(join(folder, file), `STRIPE_KEY=${value}\n`)
    return { name: file, file, value }
  })
  const { id } = await server.call(api.findings.startScan, { path: folder })
  await eventually(
    async () => (await server.call(api.findings.readScan, { scanId: id })).state === 'finished',
    'the scan',
  )
  const { items } = await server.call(api.findings.list, { limit: 500, state: 'open' })
  const inFile = (file: string): FindingView => {
    const found = items.find(({ places }) => places.some((place) => place.file === file))
    assert.ok(found, file)
    return found
  }
  return { folder, planted, forAgent: inFile('agent.env'), forDenial: inFile('denied.env') }
}

const rowsOf = (page: Page): Promise<string[]> => page.locator('tbody tr').allTextContents()

test('UI-1: the way of a leaked key, as a person sees it', async (t) => {
  const server = await startServer(t)
  const browser = await openBrowser(t)
  const { folder, planted } = await makeLeakyProject(scratchFolder(t, 'project'))
  const original = snapshot(folder)
  const visitor = await openVisitor(browser, planted)
  const { page } = visitor
  let runId = ''
  // Each step begins where the one before has ended: after one that failed, the others would only wait in vain.
  let failed = false
  const step = (name: string, work: (t: TestContext) => Promise<void>): Promise<void> =>
    t.test(name, { skip: failed }, async (t) => {
      failed = true
      await work(t)
      failed = false
    })

  await step('IDENT-1: the printed link signs in, and its code leaves the address', async () => {
    await page.goto(printedLink(server))
    await heading(page, 'Overview').waitFor()
    assert.doesNotMatch(page.url(), /code/)
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByText('Scan a project').waitFor()
    await assertGood(visitor, 'overview-empty', planted)
  })

  await step('DISC-1: a folder is scanned from the page, and findings come in masked', async () => {
    await page.getByRole('link', { name: 'Findings', exact: true }).click()
    await page.getByRole('button', { name: 'Scan a folder' }).first().click()
    await page.getByRole('textbox', { name: 'Folder' }).fill(folder)
    await page.getByRole('button', { name: 'Start the scan' }).click()
    await page.getByRole('link', { name: /^Review import of \d+$/ }).waitFor()
    await page.getByText('Scanned', { exact: true }).waitFor()
    await assertGood(visitor, 'findings', planted)
  })

  await step(
    'DISC-5: the import is reviewed before it starts, and changes nothing before it is approved',
    async () => {
      await page.getByRole('link', { name: /^Review import of \d+$/ }).click()
      await heading(page, 'Review the import').waitFor()
      await page.getByText(/secrets go into the vault/).waitFor()
      await assertGood(visitor, 'import', planted)
      await page.getByRole('button', { name: 'Start the import' }).click()
      await heading(page, /^Move \d+ secrets of .* into the vault$/).waitFor()
      await page.locator('[data-task]').first().waitFor()
      await page.getByText('Waits for approval').first().waitFor()
      runId = new URL(page.url()).pathname.split('/').at(-1) ?? ''
      assert.deepEqual(snapshot(folder), original)
      await assertGood(visitor, 'run-waiting', planted)
    },
  )

  await step(
    'APPR-1: the approval is read and answered by keyboard alone, and the graph follows live',
    async () => {
      const watcher = { ...visitor, page: await page.context().newPage() }
      await go(watcher, server, `/runs/${runId}`)
      await goByKeys(page, 'a', 'Approvals')
      await settle(page)
      await tabTo(page, 'the approval', `element.textContent.startsWith('Move ')`)
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Your answer' }).waitFor()
      await assertGood(visitor, 'approval', planted)
      await tabTo(page, 'the reason', `element.tagName === 'TEXTAREA'`)
      await page.keyboard.type('Every file was read')
      await tabTo(page, 'Approve', `element.textContent === 'Approve'`)
      await page.keyboard.press('Enter')
      await page.getByText('Every file was read').waitFor()
      // Nobody touches the second page: the event stream alone moves it.
      await watcher.page.getByRole('button', { name: 'Put the files back…' }).waitFor()
      const drawn = await watcher.page.locator('[data-task]').allTextContents()
      assert.ok(drawn.length > 10 && drawn.every((text) => text.includes('Succeeded')), drawn.join('; '))
      await assertGood(watcher, 'run-finished', planted)
      await watcher.page.close()
      assert.notDeepEqual(snapshot(folder), original)
    },
  )

  await step('UI-1: the findings are in the vault, and the way back is offered', async () => {
    await go(visitor, server, '/findings?state=imported')
    await page.getByRole('button', { name: 'Stripe secret key' }).first().click()
    await page.getByRole('button', { name: 'Put the files back…' }).waitFor()
    await assertGood(visitor, 'findings-imported', planted)
  })

  await step(
    'VAULT-2: the vault shows names; one value is revealed after a question, audited, and hidden again',
    async () => {
      await go(visitor, server, '/vault')
      await page.getByRole('treeitem', { name: 'payments-api-key', exact: true }).click()
      await page.getByRole('button', { name: 'Reveal… value' }).waitFor()
      await assertGood(visitor, 'vault', planted)
      await page.getByRole('button', { name: 'Reveal… value' }).click()
      await page.getByRole('button', { name: 'Reveal for 30 s' }).click()
      const payments = planted.filter(({ name }) => name === 'payments')
      await page.getByText(payments[0]?.value ?? '', { exact: true }).waitFor()
      await assertGood(visitor, 'vault-revealed', planted, ['payments'])
      await page.getByRole('button', { name: 'Hide' }).click()
      await page.getByRole('button', { name: 'Reveal… value' }).waitFor()
      await assertGood(visitor, 'vault-hidden', planted)
      const { items } = await server.call(api.audit.list, { type: 'secret.revealed', limit: 10 })
      assert.match(items[0]?.actor ?? '', /^person:/)
      assert.match(items[0]?.target ?? '', /payments-api-key/)
    },
  )

  const small = await scanSmallProject(t, server)
  const everything = [...planted, ...small.planted]
  let apiKey = ''

  await step(
    'IDENT-2: an agent is registered; its key is shown once, and gets no secret without a grant',
    async () => {
      await go(visitor, server, '/agents')
      await page.getByRole('button', { name: 'Register an agent' }).click()
      await page.getByRole('textbox', { name: 'Name' }).fill('settlement-bot')
      await page.getByRole('button', { name: 'Register', exact: true }).click()
      apiKey = (await page.locator('[data-revealed]').textContent()) ?? ''
      assert.match(apiKey, /^kwa_/)
      await page.getByRole('button', { name: 'I have kept it' }).click()
      await page.getByRole('button', { name: 'settlement-bot' }).click()
      await page.getByText('It has borrowed nothing yet.').waitFor()
      assert.ok(!(await page.content()).includes(apiKey))
      await assertGood(visitor, 'agents', everything)
      const asked = await server.ask('POST', '/api/v1/leases', {
        token: apiKey,
        body: {
          secretPath: small.forAgent.project,
          purpose: 'Settle the day',
          destinations: [{ host: 'api.example.com' }],
        },
      })
      assert.deepEqual([asked.status, codeOf(asked)], [403, 'policy.denied'])
    },
  )

  await step('LEND-1: a run lends a secret to the agent; the lease is shown and revoked', async (t) => {
    const { level, reasons } = (await server.call(api.system.status, {})).sandbox
    if (level === 'none') return t.skip(`this machine isolates nothing: ${reasons.join(' ')}`)
    const { items: agents } = await server.call(api.agents.list, {})
    const preview = await server.call(api.findings.preview, { findingIds: [small.forAgent.id] })
    const reference = preview.secrets[0]?.reference ?? ''
    const run = await server.call(api.runs.start, {
      flow: 'leaked-key',
      input: {
        findingIds: [small.forAgent.id],
        agentTask: {
          agentId: agents[0]?.id ?? '',
          title: 'Settle the day without seeing the key',
          secretPath: reference.replace(/^keyward:\/\//, '').replace(/#.*$/, ''),
          field: 'value',
          variable: 'PAYMENTS_API_KEY',
          command: ['node', '-e', 'setTimeout(() => undefined, 100_000)'],
          workspace: null,
          environment: { DAY: 'today' },
          destinations: [{ host: 'api.example.com', port: 443, methods: ['POST'], pathPrefix: '/v1/' }],
          route: null,
        },
      },
    })
    await go(visitor, server, `/runs/${run.id}?task=approve`)
    await page.getByRole('link', { name: 'Review and answer' }).click()
    await page.getByRole('heading', { name: 'Then an agent works' }).waitFor()
    await page.getByText('POST api.example.com/v1/').waitFor()
    await page.getByText('settlement-bot').waitFor()
    await assertGood(visitor, 'approval-agent', everything)
    // What an agent does cannot be undone, so it is asked about once more.
    await page.getByRole('button', { name: 'Approve…' }).click()
    await page.getByRole('button', { name: 'Approve it' }).click()
    await page.getByText('Approved: the run goes on').waitFor()
    await go(visitor, server, `/agents?agent=${agents[0]?.id}`)
    await page.getByRole('button', { name: /^Revoke…/ }).click()
    await page.getByRole('textbox', { name: 'Reason' }).fill('The till is closed')
    await page.getByRole('button', { name: 'Revoke', exact: true }).click()
    await page.getByText(/The till is closed/).waitFor()
    await assertGood(visitor, 'agents-revoked', everything)
    const own = await server.call(api.leases.list, {}, apiKey)
    assert.deepEqual([own.items.length, own.items[0]?.state], [1, 'revoked'])
    await go(visitor, server, `/runs/${run.id}`)
    await page.getByRole('button', { name: 'Cancel the run…' }).click()
    await page.getByRole('button', { name: 'Cancel the run', exact: true }).click()
    await eventually(
      async () => (await server.call(api.runs.read, { runId: run.id })).state === 'Cancelled',
      'the end',
    )
    await page.getByText('Cancelled', { exact: true }).first().waitFor()
    await assertGood(visitor, 'run-cancelled', everything)
  })

  await step('APPR-2: a denied approval shows who, why, and that nothing ran', async () => {
    const run = await server.call(api.runs.start, {
      flow: 'leaked-key',
      input: { findingIds: [small.forDenial.id] },
    })
    await eventually(
      async () => (await server.call(api.runs.read, { runId: run.id })).state === 'AwaitingApproval',
      'the question of the run',
    )
    await go(visitor, server, `/runs/${run.id}?task=approve`)
    await page.getByRole('link', { name: 'Review and answer' }).click()
    await page.getByLabel(/^Reason/).fill('Not during the sale')
    await page.getByRole('button', { name: 'Deny' }).click()
    await page.getByRole('heading', { name: 'Denied', exact: true }).waitFor()
    await page.getByRole('link', { name: `Run ${run.id}` }).click()
    await page.getByText('The approval was denied: Not during the sale').first().waitFor()
    await page.getByRole('button', { name: 'Close the details' }).click()
    const drawn = await page.locator('[data-task]').allTextContents()
    assert.ok(
      drawn.slice(1).every((text) => text.includes('Skipped')),
      drawn.join('; '),
    )
    await assertGood(visitor, 'run-denied', everything)
    const finding = await server.call(api.findings.read, { findingId: small.forDenial.id })
    assert.equal(finding.state, 'open')
  })

  await step('GOV-1: the audit trail of the run, with the signed head checked in the browser', async () => {
    await go(visitor, server, `/runs/${runId}`)
    await page.getByRole('link', { name: 'Its audit trail' }).click()
    await page.getByText('Signature checked here').waitFor()
    await page.getByText(`Only what belongs to ${runId}`).waitFor()
    const rows = await rowsOf(page)
    assert.ok(
      rows.some((row) => row.includes('Run finished')),
      rows.join('; '),
    )
    assert.ok(!rows.some((row) => /Session|Agent registered/.test(row)), rows.join('; '))
    await page.locator('tbody tr').first().getByRole('button').click()
    await page
      .getByText(/Recomputed in this browser: it fits|fits/)
      .first()
      .waitFor()
    await assertGood(visitor, 'audit', everything)
  })

  await step('DISC-5: the files are put back from the finding, after a question', async () => {
    await go(visitor, server, '/findings?state=imported')
    await page.getByRole('button', { name: 'Stripe secret key' }).last().click()
    await page.getByRole('button', { name: 'Put the files back…' }).click()
    await assertGood(visitor, 'undo', everything)
    await page.getByRole('button', { name: 'Put them back' }).click()
    await page.getByText(/files are put back/).waitFor()
    await eventually(
      async () =>
        snapshot(folder)
          .get('.env')
          ?.equals(original.get('.env') ?? Buffer.alloc(0)),
      'the files',
    )
    await go(visitor, server, `/runs/${runId}`)
    await page.getByText(/files put back/).waitFor()
    await assertGood(visitor, 'run-undone', everything)
  })

  await step('IDENT-1: signed out, every page is the way in; a used link is refused in words', async () => {
    await page.getByRole('button', { name: /appearance/ }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await heading(page, 'You are signed out').waitFor()
    assert.equal((await page.context().cookies()).filter(({ value }) => value !== '').length, 0)
    const late = await openVisitor(browser)
    await late.page.goto(printedLink(server))
    await heading(late.page, 'This link did not sign you in').waitFor()
    await late.page.getByText('keyward login --link', { exact: true }).waitFor()
    await assertGood(late, 'link-used', everything)
  })
})

test('VAULT-1: a sealed server says so on the page, and the page notices when the server is gone', async (t) => {
  const server = await startServer(t, { args: ['--seal', 'shamir'] })
  const browser = await openBrowser(t)
  const visitor = await openVisitor(browser)
  const { page } = visitor
  await page.goto(printedLink(server))
  await heading(page, 'Overview').waitFor()
  await page.getByText('Initialise the vault').waitFor()
  await assertGood(visitor, 'uninitialised', [])
  const made = await server.ask('PUT', '/v1/sys/init', {
    token: null,
    body: { secret_shares: 3, secret_threshold: 2 },
  })
  assert.equal(made.status, 200)
  await go(visitor, server, '/')
  await page.getByText('Unseal the vault').waitFor()
  await assertGood(visitor, 'sealed', [])
  await go(visitor, server, '/vault')
  await page.getByText('The vault is sealed').waitFor()
  await assertGood(visitor, 'vault-sealed', [])
  await page.getByText('Live', { exact: true }).waitFor()
  await server.stop()
  await page.getByText(/Connecting…|Not live/).waitFor()
})
