import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, planDraft, type RunDetail } from '@keyward/contract'
import { type Principal, silentLog, systemClock } from '../core/index.ts'
import { createPolicy } from '../policy/index.ts'
import { createFlows } from './flows.ts'

const by: Principal = { kind: 'person', id: 'psn_1', name: 'operator', roles: ['operator'] }

type Started = Parameters<Parameters<typeof createFlows>[0]['workflow']['start']>[1]

/** Flows whose findings need nothing changed; a run that would start is kept instead. */
function open(rules = '') {
  const policy = createPolicy({ clock: systemClock })
  if (rules) policy.prepare([policy.compile({ name: 'custom', text: rules })])()
  const started: Started[] = []
  const unused = async (): Promise<never> => assert.fail('nothing of this is asked for')
  const flows = createFlows({
    store: { write: unused, get: async () => undefined, all: async () => [] },
    audit: { record: unused },
    bus: { subscribe: () => () => undefined, publish: unused },
    clock: systemClock,
    policy,
    log: silentLog,
    findings: {
      preview: async () => ({ project: 'shop', digest: '', secrets: [], files: [], historyOnly: [] }),
      release: unused,
      importingRuns: async () => [],
    },
    workflow: {
      async start(_tx, request) {
        started.push(request)
        return {} as RunDetail
      },
      read: unused,
      startedBefore: async () => undefined,
      planning: { completed: unused, preview: unused },
    },
    identity: { person: unused, agent: unused },
    rollout: { judge: async () => ({ observed: false, judgements: [] }) },
    natureOf: async ({ risk }) => ({ risk, effect: 'write' }),
    more: [],
  })
  return { flows, started }
}

test('APPR-1: a name that every object answers to is no flow, so nobody brings a plan of their own', async () => {
  const { flows, started } = open()
  const plan: { [key: string]: Json } = {
    flow: 'leaked-key',
    title: 'No person was asked',
    input: null,
    tasks: [{ id: 'agent', title: 'x', action: 'agent.task', args: {}, needs: [], secrets: [] }],
  }
  for (const flow of ['constructor', 'valueOf', 'toString', '__proto__', 'hasOwnProperty'])
    await assert.rejects(flows.start({ flow, input: plan, by, unattended: false }), {
      code: 'run.plan_invalid',
    })
  assert.deepEqual(started, [])
})

test('POL-3: an agent brings no plan of its own, a plan passes for no flow, and one of both is needed', async () => {
  const { flows, started } = open()
  const plan = planDraft.parse({ title: 'Look', tasks: [{ id: 'a', action: 'look' }] })
  const start = (more: object) => flows.start({ input: {}, by, unattended: false, ...more })
  const agent: Principal = { kind: 'agent', id: 'agt_1', name: 'bot', roles: [] }
  await assert.rejects(start({ plan, by: agent }), { code: 'policy.denied' })
  await assert.rejects(flows.preview({ input: {}, plan, by: agent }), { code: 'policy.denied' })
  const disguised = { ...plan, flow: 'leaked-key' }
  await assert.rejects(start({ plan: disguised }), { code: 'run.plan_invalid', detail: /Keyward's own/ })
  await assert.rejects(start({}), { code: 'run.plan_invalid' })
  await assert.rejects(start({ plan, flow: 'leaked-key' }), { code: 'run.plan_invalid' })
  assert.deepEqual(started, [])
})

const agentTask = {
  agentId: 'agt_1',
  title: 'Settle the invoices',
  secretPath: 'secret/production/payments',
  field: 'value',
  variable: 'PAYMENTS_KEY',
  command: ['true'],
  workspace: null,
  environment: {},
  destinations: [{ host: 'api.example.com', port: 443 }],
  route: null,
}

test('POL-1: nobody has an agent use a secret that they may not lend', async () => {
  const closed = `@id("closed")
forbid (principal, action == Action::"leases.grant", resource is Secret)
when { resource has path && resource.path like "secret/production/*" };`
  const { flows, started } = open(closed)
  const start = (secretPath: string) => {
    const input = { findingIds: ['fnd_1'], agentTask: { ...agentTask, secretPath } }
    return flows.start({ flow: 'leaked-key', input, by, unattended: false })
  }
  await assert.rejects(start('secret/production/payments'), { code: 'policy.denied', detail: /closed/ })
  assert.equal(started.length, 0)
  await start('secret/staging/payments')
  assert.equal(started.length, 1)
})

test('APPR-1: the question says that an agent uses a secret, which one, and that it cannot be undone', async () => {
  const { flows, started } = open()
  const findingIds = ['fnd_1']
  await flows.start({ flow: 'leaked-key', input: { findingIds, agentTask }, by, unattended: false })
  await flows.start({ flow: 'leaked-key', input: { findingIds }, by, unattended: false })
  const [asked, plain] = started.map(({ plan }) => plan.tasks.find((task) => task.approval))
  assert.deepEqual([asked?.reversible, asked?.secrets], [false, ['secret/production/payments']])
  assert.deepEqual(asked?.args, { findingIds, agentTask })
  assert.deepEqual([plain?.reversible, plain?.secrets], [true, []])
})
