// Answers that must not count, asked for and given over HTTP.
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { api } from '@keyward/contract'
import { codeOf, type Reply, type RunningServer, startServer } from './support/server.ts'
import { approve, ended, oneKeyProject, pendingApproval, startLeakedKey } from './support/steps.ts'

/** A run that waits, and the project that it would change. */
async function waiting(t: TestContext) {
  const server = await startServer(t)
  const project = oneKeyProject(t)
  const before = readFileSync(project.file)
  const run = await startLeakedKey(server, project.folder)
  const approval = await pendingApproval(server, run.id)
  return { server, project, before, run, approval }
}

const answer = (server: RunningServer, verb: 'approve' | 'deny', id: string, body: object): Promise<Reply> =>
  server.ask('POST', `/api/v1/approvals/${id}/${verb}`, { body })

test('APPR-1: nothing changes before the answer; the second answer is refused, whatever it says', async (t) => {
  const { server, project, before, run, approval } = await waiting(t)
  assert.deepEqual(readFileSync(project.file), before)
  assert.ok(!JSON.stringify(approval.preview).includes(project.value), 'the preview shows the value')
  const { digest } = approval
  const first = await answer(server, 'approve', approval.id, { digest })
  assert.equal(first.status, 200)
  for (const verb of ['approve', 'deny'] as const) {
    const second = await answer(server, verb, approval.id, { digest })
    assert.deepEqual([second.status, codeOf(second)], [409, 'approval.answered'])
  }
  assert.equal((await ended(server, run.id)).state, 'Succeeded')
  assert.match(readFileSync(project.file, 'utf8'), /STRIPE_KEY="keyward:/)
})

test('APPR-1: a file that changed after the question voids the answer, and stays as it is', async (t) => {
  const { server, project, run, approval } = await waiting(t)
  appendFileSync(project.file, 'ADDED=later\n')
  const edited = readFileSync(project.file)
  await answer(server, 'approve', approval.id, { digest: approval.digest })
  const after = await ended(server, run.id)
  assert.notEqual(after.state, 'Succeeded')
  assert.match(after.tasks.find(({ id }) => id === 'approve')?.reason ?? '', /approval\.void/)
  const voided = await server.call(api.approvals.read, { approvalId: approval.id })
  assert.equal(voided.state, 'voided')
  assert.deepEqual(readFileSync(project.file), edited)
  const { items } = await server.call(api.secrets.list, { path: 'secret/' })
  assert.deepEqual(items, [])
  // The findings are free again: the same way works once the question is asked anew.
  const again = await startLeakedKey(server, project.folder)
  await approve(server, again.id)
  assert.equal((await ended(server, again.id)).state, 'Succeeded')
})

test('APPR-1: an answer to another digest is refused and leaves the question open', async (t) => {
  const { server, project, before, run, approval } = await waiting(t)
  const wrong = await answer(server, 'approve', approval.id, { digest: '0'.repeat(64) })
  assert.deepEqual([wrong.status, codeOf(wrong)], [409, 'approval.void'])
  const malformed = await answer(server, 'approve', approval.id, { digest: 'yes' })
  assert.deepEqual([malformed.status, codeOf(malformed)], [400, 'request.invalid'])
  assert.equal((await pendingApproval(server, run.id)).id, approval.id)
  assert.deepEqual(readFileSync(project.file), before)
  const unknown = await answer(server, 'approve', 'apr_none', { digest: approval.digest })
  assert.deepEqual([unknown.status, codeOf(unknown)], [404, 'approval.not_found'])
})

test('APPR-2: a denial ends the run with its reason, and the findings are open again', async (t) => {
  const { server, project, before, run, approval } = await waiting(t)
  const { digest } = approval
  assert.equal((await answer(server, 'deny', approval.id, { digest, reason: 'not on a Friday' })).status, 200)
  const after = await ended(server, run.id)
  assert.equal(after.state, 'Cancelled')
  assert.match(after.reason ?? '', /not on a Friday/)
  assert.deepEqual(readFileSync(project.file), before)
  const { items } = await server.call(api.findings.list, {})
  assert.deepEqual(
    items.map(({ state }) => state),
    ['open'],
  )
})

test('APPR-1: cancelled, a run leaves its question unanswerable', async (t) => {
  const { server, project, before, run, approval } = await waiting(t)
  assert.equal((await server.call(api.runs.cancel, { runId: run.id })).state, 'Cancelled')
  const late = await answer(server, 'approve', approval.id, { digest: approval.digest })
  assert.deepEqual([late.status, codeOf(late)], [409, 'approval.answered'])
  const again = await server.ask('POST', `/api/v1/runs/${run.id}/cancel`)
  assert.deepEqual([again.status, codeOf(again)], [409, 'run.state'])
  assert.deepEqual(readFileSync(project.file), before)
})

test('POL-1: neither a vault token nor an agent approves, whatever else it may', async (t) => {
  const server = await startServer(t)
  const project = oneKeyProject(t)
  const run = await startLeakedKey(server, project.folder)
  const { id, digest } = await pendingApproval(server, run.id)
  const { apiKey } = await server.call(api.agents.register, { name: 'eager' })
  const made = await server.ask('POST', '/v1/auth/token/create', {
    headers: { 'x-vault-token': server.token },
    body: {},
  })
  const vaultToken = (made.body as { auth: { client_token: string } }).auth.client_token
  for (const token of [apiKey, vaultToken]) {
    const refused = await server.ask('POST', `/api/v1/approvals/${id}/approve`, { token, body: { digest } })
    assert.equal(refused.status, 403, JSON.stringify(refused.body))
    assert.equal(codeOf(refused), 'policy.denied')
  }
  assert.equal((await server.call(api.approvals.read, { approvalId: id })).state, 'pending')
})

test('APPR-2: what expired while the server was away is expired when it is back, and stays so', async (t) => {
  const { server, project, before, run, approval } = await waiting(t)
  await server.stop('SIGKILL')
  await expire(server.dataDir, approval.id)
  const again = await startServer(t, { dataDir: server.dataDir, token: server.token })
  const late = await answer(again, 'approve', approval.id, { digest: approval.digest })
  assert.deepEqual([late.status, codeOf(late)], [410, 'approval.expired'])
  const after = await ended(again, run.id)
  assert.match(after.reason ?? '', /approval\.expired/)
  assert.deepEqual(readFileSync(project.file), before)
})

/** As if the server had been away for longer than the approval lives. */
async function expire(dataDir: string, approvalId: string): Promise<void> {
  const { openStore, sql } = await import('../src/store/index.ts')
  const store = await openStore({ dataDir })
  await store.write((tx) =>
    tx.run(sql`update approvals set requested_at = 0, expires_at = 1 where id = ${approvalId}`),
  )
  await store.close()
}
