import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApprovalView, api } from '@keyward/contract'
import { type ContractServer, openContractServer } from '../../test/support/contract-server.ts'
import { launcher, openShell, runToEnd, terminalMissing } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'
import { AppError } from '../core/index.ts'

const digest = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'

const pending: ApprovalView = {
  id: 'apr_1',
  runId: 'run_1',
  taskId: 'rewrite',
  action: 'files.rewrite',
  title: 'Rewrite 2 files of shop',
  target: 'shop',
  requestedBy: 'person:ada',
  risk: 'high',
  reversible: true,
  preview: { files: ['.env', 'compose\u001b[2J.yaml'] },
  digest,
  planDigest: digest,
  subject: '{}',
  previewDigest: digest,
  policyVersion: digest,
  nonce: '1',
  blastRadius: null,
  rollback: null,
  quorum: 1,
  groups: [],
  needsSecondFactor: false,
  approvals: [],
  remindedAt: null,
  escalatedAt: null,
  supersededBy: null,
  replaces: null,
  changedBy: [],
  changeable: true,
  carriedFrom: null,
  grantId: null,
  channel: null,
  state: 'pending',
  mode: null,
  decidedBy: null,
  reason: null,
  requestedAt: '2026-01-02T03:04:05.000Z',
  decidedAt: null,
  expiresAt: '2026-01-02T04:04:05.000Z',
}

async function openApproval(t: Parameters<typeof openShell>[0], approval = pending): Promise<ContractServer> {
  const server = await openContractServer(t)
  server.answer(api.approvals.read, () => approval)
  server.answer(api.approvals.approve, (input) => {
    if (input.digest !== digest) throw new AppError('approval.void')
    return { ...approval, state: 'approved' as const, decidedBy: 'person:ada', reason: input.reason ?? null }
  })
  server.answer(api.approvals.deny, () => ({
    ...approval,
    state: 'denied' as const,
    decidedBy: 'person:ada',
  }))
  return server
}

const answers = ({ calls }: ContractServer): unknown[] =>
  calls.filter(({ name }) => name !== 'approvals.read').map(({ name, input }) => [name, input])

test('APPR-1: what would run is shown, and the answer carries the digest of what was shown', async (t) => {
  const server = await openApproval(t)
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout, stderr } = await keyward([
    'approve',
    'apr_1',
    '--yes',
    '--reason',
    'Reviewed',
    '--json',
  ])
  assert.equal(code, 0, stderr)
  assert.match(stderr, /Rewrite 2 files of shop[\s\S]*high, reversible[\s\S]*What would run:[\s\S]*"\.env"/)
  assert.ok(!stderr.includes('\u001b'))
  assert.equal(JSON.parse(stdout).state, 'approved')
  assert.deepEqual(answers(server), [
    ['approvals.approve', { approvalId: 'apr_1', digest, reason: 'Reviewed' }],
  ])
  assert.match(
    (await keyward(['deny', 'apr_1', '--yes'])).stderr,
    /Rewrite 2 files of shop: denied by person:ada\.\n$/,
  )
})

test('APPR-1: a digest that was reviewed and is no longer the one asked for is not answered', async (t) => {
  const server = await openApproval(t)
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const stale = await keyward(['approve', 'apr_1', '--yes', '--digest', '0'.repeat(64)])
  assert.equal(stale.code, 2)
  assert.match(stale.stderr, /what was approved is not what would run: apr_1 has the digest 9f86/)
  assert.deepEqual(answers(server), [])
  assert.equal((await keyward(['approve', 'apr_1', '--yes', '--digest', digest])).code, 0)
})

test('APPR-1: without a terminal and without --yes nothing is decided', async (t) => {
  const server = await openApproval(t)
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stderr } = await keyward(['approve', 'apr_1'], { input: 'y\n' })
  assert.equal(code, 2)
  assert.match(stderr, /nobody is at a terminal to confirm this/)
  assert.deepEqual(answers(server), [])
})

test('APPR-1: one that was answered or has expired is told as such', async (t) => {
  const answered = await openApproval(t, { ...pending, state: 'denied', decidedBy: 'person:bo' })
  const expired = await openApproval(t, { ...pending, state: 'expired' })
  const { keyward } = openShellInside(t)
  const again = await keyward(['approve', 'apr_1', '--yes', '--address', answered.address])
  assert.match(again.stderr, /the approval has been answered already: apr_1 is denied by person:bo\.\n$/)
  const late = await keyward(['approve', 'apr_1', '--yes', '--address', expired.address, '--json'])
  assert.match(late.stderr, /"code":"approval\.expired"/)
  assert.deepEqual([...answers(answered), ...answers(expired)], [])
})

test('APPR-2: a person at a terminal is asked, and only a yes is a yes', {
  skip: terminalMissing,
}, async (t) => {
  const server = await openApproval(t)
  const { home } = openShell(t)
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, KEYWARD_ADDRESS: server.address, NO_COLOR: '1' }
  const command = `'${process.execPath}' '${launcher}' approve apr_1`
  const ask = (answer: string) =>
    runToEnd('script', ['-qec', command, '/dev/null'], { cwd: home, env }, answer)
  const no = await ask('\n')
  assert.equal(no.code, 1)
  assert.match(no.stdout, /Approve exactly this\? \[y\/N\][\s\S]*Nothing was decided/)
  assert.deepEqual(answers(server), [])
  const yes = await ask('y\n')
  assert.equal(yes.code, 0, yes.stdout)
  assert.equal(answers(server).length, 1)
})

test('APPR-1: other arguments are given with the digest of what was shown, and the new question is shown', async (t) => {
  const server = await openApproval(t)
  server.answer(api.approvals.change, ({ args }) => ({
    ...pending,
    id: 'apr_2',
    replaces: 'apr_1',
    changedBy: ['person:ada'],
    preview: args,
  }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const given = ['approvals', 'change', 'apr_1', '--reason', 'fewer']
  const done = await keyward([...given, '--args', '{"count":2}'])
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /apr_2[\s\S]*person:ada; it takes the place of apr_1[\s\S]*"count": 2/)
  assert.match(done.stderr, /Next: keyward approve apr_2/)
  assert.deepEqual(answers(server), [
    ['approvals.change', { approvalId: 'apr_1', digest, args: { count: 2 }, reason: 'fewer' }],
  ])
  assert.match((await keyward([...given, '--args', '{'])).stderr, /It must be JSON/)
  const stale = await keyward([...given, '--args', '{}', '--digest', '0'.repeat(64)])
  assert.match(stale.stderr, /has the digest 9f86/)
})

test('APPR-2: where a second factor is asked for, its code is typed unseen, and the answer is given again', {
  skip: terminalMissing,
}, async (t) => {
  const server = await openApproval(t)
  const code = '135790'
  let kind: 'totp' | 'key' = 'totp'
  let isShown = false
  server.answer(api.approvals.approve, () => {
    if (!isShown) throw new AppError('approval.second_factor')
    return { ...pending, state: 'approved' as const, decidedBy: 'person:ada' }
  })
  const factor = { id: 'fct_1', name: 'phone', createdAt: pending.requestedAt, lastUsedAt: null }
  server.answer(api.secondFactors.list, () => ({ items: [{ ...factor, kind }], recoveryCodesLeft: 10 }))
  server.answer(api.secondFactors.confirm, (input) => {
    isShown = input.code === code
    return { kind: 'totp' as const, freshUntil: pending.expiresAt }
  })
  const { home, keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, KEYWARD_ADDRESS: server.address, NO_COLOR: '1' }
  const command = `'${process.execPath}' '${launcher}' approve apr_1 --yes`
  const ask = () => runToEnd('script', ['-qec', command, '/dev/null'], { cwd: home, env }, `${code}\n`)
  const alone = await keyward(['approve', 'apr_1', '--yes'])
  assert.match(alone.stderr, /needs a second factor/)
  const done = await ask()
  assert.equal(done.code, 0, done.stdout)
  assert.match(done.stdout, /Code that the app shows:[\s\S]*approved by person:ada/)
  isShown = false
  kind = 'key'
  const byKey = await ask()
  assert.match(byKey.stdout, new RegExp(`Answer at ${server.address}/approvals/apr_1`))
})
