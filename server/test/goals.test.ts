// Goals from the words to the end of their runs, through the whole server and the command line.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { api } from '@keyward/contract'
import { eventually } from './support/eventually.ts'
import { asJson, openModelServer } from './support/model-server.ts'
import { attributesOf, openOtlpServer } from './support/otlp-server.ts'
import { codeOf, type RunningServer, scratchFolder, startServer } from './support/server.ts'
import { approve, ended } from './support/steps.ts'

const preset = `version: 1
title: Rotate what the shop has
goals: ["renew the shop"]
inputs: {}
uses: rotate
with: { project: shop }
`

async function open(t: TestContext): Promise<RunningServer> {
  const server = await startServer(t)
  await server.ask('POST', '/v1/sys/mounts/transit', { body: { type: 'transit' } })
  await server.ask('POST', '/v1/transit/keys/shop', { body: {} })
  return server
}

const versionOf = async (server: RunningServer): Promise<unknown> => {
  const { body } = await server.ask('GET', '/v1/transit/keys/shop')
  return (body as { data: { latest_version: number } }).data.latest_version
}

test('WORK-1, WORK-3: a goal in words shows its plan, runs once a person says yes, and asks where it must', async (t) => {
  const server = await open(t)
  const shown = await server.keyward(['goal', 'rotate the keys of shop', '--dry-run'])
  assert.equal(shown.code, 0, shown.stderr)
  assert.match(shown.stdout, /Rotate transit\/shop[\s\S]*review[\s\S]*vault\.rotate[\s\S]*medium/)
  assert.match((await server.keyward(['goal', 'rotate the keys of shop'])).stderr, /nobody is at a terminal/)
  const started = await server.keyward(['goal', 'rotate the keys of shop', '--yes'])
  assert.equal(started.code, 0, started.stderr)
  const runId = started.stdout.trim()
  assert.equal(await versionOf(server), 1)
  await approve(server, runId)
  assert.equal((await ended(server, runId)).state, 'Succeeded')
  assert.equal(await versionOf(server), 2)
  const { items } = await server.call(api.goals.list, {})
  assert.deepEqual(
    items.map(({ state, outcome }) => [state, outcome]),
    [
      ['started', 'Succeeded'],
      ['proposed', null],
      ['proposed', null],
    ],
  )
  const goal = await server.keyward(['goals', 'show', items[0]?.id ?? ''])
  assert.match(goal.stdout, /Outcome +Succeeded/)
})

test('WORK-1: a goal that no rule knows, a plan that was not shown, and a second start are refused', async (t) => {
  const server = await open(t)
  const unknown = await server.keyward(['goal', 'make me rich', '--yes'])
  assert.notEqual(unknown.code, 0)
  assert.match(unknown.stderr, /rotate \[all\]/)
  const goal = await server.call(api.goals.propose, { text: 'rotate the keys of shop' })
  const digest = goal.proposals[0]?.plan?.planDigest ?? ''
  const start = (body: object) => server.ask('POST', `/api/v1/goals/${goal.id}/start`, { body })
  assert.equal(codeOf(await start({ proposal: 2, digest })), 'goal.state')
  assert.equal(codeOf(await start({ digest: '0'.repeat(64) })), 'goal.changed')
  await server.ask('POST', '/v1/transit/keys/shop-orders', { body: {} })
  assert.equal(codeOf(await start({ digest })), 'goal.changed', 'the project has another key by now')
  const again = await server.call(api.goals.propose, { text: 'rotate the keys of shop' })
  const wanted = { goalId: again.id, digest: again.proposals[0]?.plan?.planDigest ?? '' }
  const run = await server.call(api.goals.start, wanted)
  const second = await server.ask('POST', `/api/v1/goals/${again.id}/start`, {
    body: { digest: wanted.digest },
  })
  assert.equal(codeOf(second), 'goal.state')
  await server.call(api.runs.cancel, { runId: run.id })
  const nothing = await server.call(api.goals.propose, { text: 'rotate the keys of nothing' })
  assert.match(nothing.proposals[0]?.problem ?? '', /^vault\.not_found/)
})

test('WORK-1: a language model that the server is told of proposes for words that no rule knows', async (t) => {
  const model = await openModelServer(t)
  const collector = await openOtlpServer(t)
  const server = await startServer(t, {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      KEYWARD_PLANNER_URL: model.url,
      KEYWARD_PLANNER_MODEL: 'planner-1',
      KEYWARD_PLANNER_KEY: 'keyward://secret/planner#key',
    },
  })
  const key = randomBytes(24).toString('base64url')
  const dryRun = () => server.keyward(['goal', 'freshen up what the shop has', '--dry-run'])
  model.say(asJson({ flow: 'diagnose', input: { service: 'shop' } }))
  const without = await dryRun()
  assert.match(without.stderr, /secret\/planner has no field 'key'/)
  await server.ask('POST', '/v1/secret/data/planner', { body: { data: { key } } })
  const shown = await dryRun()
  assert.equal(shown.code, 0, shown.stderr)
  assert.match(shown.stdout, /Proposed by +the language model planner-1; look twice/)
  assert.match(shown.stdout, /Expected to take +not known yet/)
  assert.equal(model.asked[0]?.authorization, `Bearer ${key}`)
  const told = JSON.parse(model.asked[0]?.body.messages.at(-1)?.content ?? '')
  assert.ok(told.flows.some(({ name }: { name: string }) => name === 'diagnose'))
  assert.deepEqual([told.actions, told.connections], [[], []])
  const { items } = await server.call(api.goals.list, {})
  const [proposal] = items[0]?.proposals ?? []
  assert.deepEqual([proposal?.source, proposal?.model, proposal?.flow], ['model', 'planner-1', 'diagnose'])
  const { body } = await server.ask('GET', '/metrics')
  assert.match(String(body), /keyward_planner_goals_total\{outcome="done"\} 1/)

  const digest = proposal?.plan?.planDigest ?? ''
  const run = await server.call(api.goals.start, { goalId: items[0]?.id ?? '', digest })
  const ofRun = await eventually(
    async () => collector.spans.find((span) => attributesOf(span)['keyward.run.id'] === run.id),
    'the trace of its run',
  )
  const asked = collector.spans.filter(({ name }) => name === 'chat planner-1')
  assert.deepEqual(
    asked.map((span) => [attributesOf(span)['keyward.goal.id'], attributesOf(span)['error.type']]),
    [
      [asked[0] && attributesOf(asked[0])['keyward.goal.id'], 'goal.model_failed'],
      [items[0]?.id, undefined],
    ],
  )
  const [{ traceId, spanId } = { traceId: '', spanId: '' }] = asked.slice(-1)
  assert.deepEqual(ofRun.links, [{ traceId, spanId }], 'the run is linked to the question that proposed it')
  const sent = collector.bodies.join('')
  assert.ok(!sent.includes('freshen up') && !sent.includes(key) && !sent.includes('secret/planner'))
})

test('WORK-1: a flow that somebody saved has wordings of its own', async (t) => {
  const server = await open(t)
  const file = join(scratchFolder(t, 'flows'), 'shop.yaml')
  writeFileSync(file, preset.replace('uses', 'use'))
  const wrong = await server.keyward(['flows', 'validate', file])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stdout, /shop\.yaml:5:\d: use: Unrecognized key/)
  writeFileSync(file, preset)
  assert.equal((await server.keyward(['flows', 'validate', file])).code, 0)
  assert.equal((await server.keyward(['flows', 'save', 'shop', file])).code, 0)
  assert.match((await server.keyward(['flows', 'list'])).stdout, /shop +Rotate what the shop has +version 1/)
  assert.equal((await server.keyward(['flows', 'show', 'shop'])).stdout, preset)
  const goal = await server.call(api.goals.propose, { text: 'Renew the shop!' })
  assert.deepEqual(
    goal.proposals.map(({ flow, problem }) => [flow, problem]),
    [['shop', null]],
  )
  assert.equal((await server.keyward(['flows', 'remove', 'shop'])).code, 0)
})

test('WORK-3: a diagnosis looks and reports, with links, and changes nothing', async (t) => {
  const server = await open(t)
  const run = await server.call(api.runs.start, { flow: 'rotate', input: { project: 'shop' } })
  await server.call(api.runs.cancel, { runId: run.id })
  await ended(server, run.id)
  const started = await server.keyward(['goal', 'diagnose shop', '--yes', '--watch', '--json'])
  assert.equal(started.code, 0, started.stderr)
  const { tasks } = JSON.parse(started.stdout) as { tasks: { id: string; output: { markdown?: string } }[] }
  const markdown = tasks.find(({ id }) => id === 'report')?.output.markdown ?? ''
  assert.match(markdown, /^# shop, 20/)
  assert.ok(markdown.includes(`(/runs/${run.id})`), markdown)
  assert.equal(await versionOf(server), 1)
})

test('POL-3: an agent says a goal; its phase decides, and what went too far demotes it', async (t) => {
  const server = await open(t)
  const { agent, apiKey } = await server.call(api.agents.register, {
    name: 'bot',
    scopes: ['leases', 'runs'],
  })
  const plain = await server.call(api.agents.register, { name: 'plain' })
  const say = (text: string, token: string) => server.ask('POST', '/api/v1/goals', { body: { text }, token })
  assert.equal(codeOf(await say('rotate the keys of shop', plain.apiKey)), 'policy.denied')
  assert.equal(codeOf(await say('diagnose shop', apiKey)), '', 'an agent may say it')
  const { body } = await say('rotate the keys of shop', apiKey)
  const { id, proposals } = body as { id: string; proposals: { plan: { planDigest: string } }[] }
  const refused = await server.ask('POST', `/api/v1/goals/${id}/start`, {
    body: { digest: proposals[0]?.plan.planDigest },
    token: apiKey,
  })
  assert.equal(codeOf(refused), 'policy.denied')
  assert.match(JSON.stringify(refused.body), /phase-read-only/)
  const view = await server.call(api.rollout.read, { agentId: agent.id })
  assert.deepEqual([view.phase, view.evidence.violations], ['read-only', 1])
  assert.match((await server.keyward(['agents', 'phase', 'bot'])).stdout, /Violations +1 in 7 days/)
  assert.equal(await versionOf(server), 1)
})
