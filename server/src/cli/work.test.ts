// The way of a finding at the command line: preview, import, watch, undo; agents, leases and secrets beside it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type AgentView, api, type RunDetail, type TaskState } from '@keyward/contract'
import { openContractServer } from '../../test/support/contract-server.ts'
import { openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'

const at = '2026-01-02T03:04:05.000Z'
const preview = {
  project: 'shop',
  digest: 'd'.repeat(64),
  secrets: [
    {
      findingId: 'fnd_1',
      title: 'Stripe key',
      masked: 'sk_…4Q',
      reference: 'keyward://secret/shop/stripe#value',
    },
  ],
  files: [
    {
      file: '.env',
      findingIds: ['fnd_01'],
      sha256Before: 'a',
      sha256After: 'b',
      lines: [{ line: 3, before: 'STRIPE=sk_…4Q', after: 'STRIPE=keyward://secret/shop/stripe#value' }],
    },
  ],
  historyOnly: ['fnd_2'],
}

function runAs(state: RunDetail['state'], task: TaskState): RunDetail {
  return {
    id: 'run_1',
    flow: 'leaked-key',
    title: 'Leaked keys of shop',
    state,
    requestedBy: 'person:ada',
    unattended: false,
    planDigest: 'e'.repeat(64),
    createdAt: at,
    finishedAt: null,
    taskCount: 1,
    doneCount: 0,
    tasks: [
      {
        id: 'rewrite',
        title: 'Rewrite files',
        action: 'files.rewrite',
        needs: [],
        risk: 'high',
        reversible: true,
        secrets: [],
        state: task,
        attempt: 1,
        reason: task === 'Failed' ? 'the file changed' : null,
        output: null,
        approvalId: task === 'AwaitingApproval' ? 'apr_1' : null,
        startedAt: null,
        finishedAt: null,
      },
    ],
  }
}

test('DISC-5: an import shows what would change, starts the flow once, and follows it to its end', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.findings.preview, () => preview)
  server.answer(api.runs.start, () => runAs('Running', 'Pending'))
  const states: [RunDetail['state'], TaskState][] = [
    ['AwaitingApproval', 'AwaitingApproval'],
    ['AwaitingApproval', 'AwaitingApproval'],
    ['Running', 'Running'],
    ['Succeeded', 'Succeeded'],
  ]
  server.answer(api.runs.read, () => runAs(...(states.shift() ?? ['Succeeded', 'Succeeded'])))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout, stderr } = await keyward(['findings', 'import', 'fnd_1', 'fnd_2', '--yes', '--watch'])
  assert.equal(code, 0, stderr)
  assert.equal(stdout, 'run_1\n')
  assert.match(
    stderr,
    /1 values go into the vault[\s\S]*3 - STRIPE=sk_…4Q\n {2}3 \+ STRIPE=keyward:[\s\S]*rotate those keys/,
  )
  assert.match(
    stderr,
    /AwaitingApproval {2}rewrite {2}Rewrite files: keyward approve apr_1\nRunning[\s\S]*\nSucceeded/,
  )
  assert.equal(stderr.match(/^AwaitingApproval/gm)?.length, 1)
  const started = server.calls.filter(({ name }) => name === 'runs.start')
  assert.deepEqual(
    started.map(({ input }) => input),
    [{ flow: 'leaked-key', input: { findingIds: ['fnd_1', 'fnd_2'] } }],
  )
  assert.match((await keyward(['findings', 'import', 'fnd_1'])).stderr, /nobody is at a terminal/)
  assert.equal(server.calls.filter(({ name }) => name === 'runs.start').length, 1)
})

test('WORK-1: a run that fails or is cancelled exits 1', async (t) => {
  const server = await openContractServer(t)
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  server.answer(api.runs.read, () => runAs('Failed', 'Failed'))
  const failed = await keyward(['runs', 'watch', 'run_1'])
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /^Failed {12}rewrite {2}Rewrite files: the file changed\n/)
  server.answer(api.runs.read, () => runAs('Cancelled', 'Cancelled'))
  assert.equal((await keyward(['runs', 'watch', 'run_1', '--json'])).code, 1)
  assert.equal((await keyward(['runs', 'show', 'run_1'])).code, 0)
  server.answer(api.runs.read, () => ({ ...runAs('Failed', 'Failed'), host: 'temporal' as const }))
  assert.match((await keyward(['runs', 'show', 'run_1'])).stdout, /Carried by +Temporal\n/)
  assert.match((await keyward(['runs', 'show', '..'])).stderr, /runId is empty or made of dots/)
})

test('IDENT-2: registering an agent writes its key to standard output and nothing else there', async (t) => {
  const server = await openContractServer(t)
  const apiKey = `test-agent-${randomBytes(9).toString('hex')}`
  const agent: AgentView = {
    id: 'agt_1',
    name: 'shop-bot',
    description: '',
    owner: 'person:ada',
    state: 'active',
    createdAt: at,
    lastUsedAt: null,
    activeLeases: 0,
  }
  server.answer(api.agents.register, () => ({ agent, apiKey }))
  server.answer(api.agents.list, () => ({ items: [{ ...agent, description: 'x\u001b[31m' }], next: null }))
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const registered = await keyward(['agents', 'register', 'shop-bot'])
  assert.equal(registered.stdout, `${apiKey}\n`)
  assert.ok(!registered.stderr.includes(apiKey))
  assert.match((await keyward(['agents', 'register', 'Shop Bot'])).stderr, /^keyward: name: Invalid string/)
  const list = await keyward(['agents', 'list'])
  assert.ok(!list.stdout.includes('\u001b'))
  assert.match(list.stdout, /^ID +NAME +STATE +LEASES/)
})

test('LEND-2: a lease is asked for with its destinations; the placeholder is all that is written', async (t) => {
  const server = await openContractServer(t)
  const placeholder = `placeholder-${randomBytes(9).toString('hex')}`
  server.answer(api.leases.request, (input) => ({
    placeholder,
    lease: {
      id: 'lea_1',
      agentId: 'agt_1',
      agentName: 'shop-bot',
      runId: null,
      taskId: null,
      secretPath: input.secretPath,
      field: input.field,
      injection: { kind: 'bearer' as const },
      purpose: input.purpose,
      state: 'active' as const,
      destinations: input.destinations,
      usesLeft: 1,
      usesPerMinute: null,
      bytesLeft: null,
      uses: 0,
      issuedAt: at,
      expiresAt: at,
      endedAt: null,
      endReason: null,
      receipt: null,
      parentId: null,
      depth: 0,
      delegable: false,
    },
  }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const to = ['--to', 'api.stripe.com', '--to', 'localhost:8443', '--uses', '1', '--purpose', 'Restock']
  const { stdout } = await keyward(['leases', 'request', 'secret/shop/stripe', ...to])
  assert.equal(stdout, `${placeholder}\n`)
  assert.deepEqual(server.calls[0]?.input['destinations'], [
    { host: 'api.stripe.com', port: 443 },
    { host: 'localhost', port: 8443 },
  ])
})

test('VAULT-2: names are listed; a value is revealed exactly, and only when asked for', async (t) => {
  const server = await openContractServer(t)
  const value = `test-only-${randomBytes(9).toString('hex')}\n`
  server.answer(api.secrets.list, ({ path }) => ({
    path,
    items: [{ name: 'stripe', path: `${path}/stripe`, folder: false }],
  }))
  server.answer(api.secrets.reveal, () => ({ value }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  assert.equal((await keyward(['secrets', 'list', 'secret/shop'])).stdout, 'secret/shop/stripe\n')
  const revealed = await keyward(['secrets', 'reveal', 'secret/shop/stripe', '--no-newline'])
  assert.equal(revealed.stdout, value)
  assert.deepEqual(server.calls.at(-1)?.input, { path: 'secret/shop/stripe', field: 'value' })
})
