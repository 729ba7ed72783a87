import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { openConnectorWorld } from '../../test/support/connector-world.ts'
import { createEngine, engineMigrations } from '../../test/support/engine.ts'
import { openWorld } from '../../test/support/world.ts'
import { channelConnectors } from '../channels/index.ts'
import { shippedConnectors } from '../connectors/index.ts'
import { AppError, type Principal } from '../core/index.ts'
import { commandActions } from '../flows/index.ts'
import type { Plan } from '../workflow/index.ts'
import { deployActions } from './deploy-actions.ts'
import { deployFeatureFlow } from './deploy-feature.ts'

const olga: Principal = { kind: 'person', id: 'olga', name: 'olga', roles: ['operator'] }
const agents = ['shop-bot', 'other'].map((name) => ({ id: `agt_${name}`, name, state: 'active' }))
const connections = [
  { name: 'hub', connector: 'github', settings: { repositories: ['team/shop'] }, secretPath: 'secret/hub' },
  { name: 'stack', connector: 'pulumi', settings: {}, secretPath: 'secret/stack' },
  { name: 'infra', connector: 'terraform', settings: {}, secretPath: null },
  { name: 'shop', connector: 'monitor', settings: {}, secretPath: null },
  { name: 'releases', connector: 'slack', settings: {}, secretPath: 'secret/slack' },
]
const input = {
  pullRequest: 123,
  repository: 'team/shop',
  github: 'hub',
  agent: 'shop-bot',
  tests: { command: ['npm', 'test'] },
  lint: { command: ['npm', 'run', 'lint'] },
  infrastructure: { connection: 'stack' },
  monitor: { connection: 'shop' },
  notify: 'releases',
}
type Known = { connections: typeof connections; agents: typeof agents }
const headSha = { $from: 'fetch', path: 'head.sha' }

const planOf = (
  more: { [name: string]: Json } = {},
  by = olga,
  { given = input, known = { connections, agents } }: { given?: object; known?: Known } = {},
): Promise<Plan> => {
  const { factsOf, ...needs } = {
    factsOf: (name: string) =>
      [...shippedConnectors, ...channelConnectors]
        .flatMap(({ actions }) => actions)
        .find((one) => one.name === name),
    connections: async () => known.connections,
    agents: async () => known.agents,
    assertMayLend(_: Principal, path: string) {
      if (path === 'secret/forbidden') throw new AppError('policy.denied', `nobody may lend ${path}`)
    },
  }
  const flow = deployFeatureFlow({ ...needs, factsOf })
  return flow.plan(flow.input.parse({ ...given, ...more }) as Json, by)
}

/** By the engine, with what all connectors take and give; the connections themselves are not there. */
async function validated(t: TestContext, plan: Plan) {
  const { connectors } = await openConnectorWorld(t, [...shippedConnectors, ...channelConnectors])
  const commands = {
    runnerOf: () => async () => assert.fail('nothing runs here'),
    ended: async () => undefined,
  }
  const own = deployActions({ read: async () => assert.fail('nothing runs here'), services: [] })
  const unconnected = connectors.actions.map(({ offered: _about, preview: _look, ...action }) => action)
  const actions = [...unconnected, ...commandActions(commands), ...own]
  const engine = createEngine(await openWorld(t, engineMigrations), { actions })
  return (await engine.workflow.planning.preview(plan, olga)).tasks
}

const taskOf = ({ tasks }: Plan, id: string) => {
  const found = tasks.find((one) => one.id === id)
  assert.ok(found, id)
  return found
}

test('WORK-3: a deployment has its steps, one question, and a word for whoever was denied', async (t) => {
  const plan = await planOf()
  const shown = await validated(t, plan)
  assert.deepEqual(
    shown.map(({ id, needs }) => [id, needs.join(' ')]),
    [
      ['fetch', ''],
      ['checkout', 'fetch'],
      ['tests', 'fetch checkout'],
      ['lint', 'fetch checkout'],
      ['preview', 'fetch checkout tests lint'],
      ['approve', 'fetch preview'],
      ['merge', 'fetch approve'],
      ['up', 'preview merge'],
      ['monitor', 'up'],
      ['explain', ''],
      ['summary', 'monitor explain'],
      ['notify', 'summary'],
    ],
  )
  assert.deepEqual(
    shown.filter(({ gated }) => gated).map(({ id, risk }) => [id, risk]),
    [['approve', 'high']],
  )
  assert.equal(taskOf(plan, 'explain').fallbackFor, 'approve')
  assert.equal(taskOf(plan, 'summary').after, 'end')
  for (const id of ['tests', 'lint'])
    assert.deepEqual(Object(taskOf(plan, id).args).artifact, { $from: 'checkout', path: 'artifact' })
  assert.deepEqual(Object(taskOf(plan, 'checkout').args).sha, headSha)
  assert.deepEqual(Object(taskOf(plan, 'merge').args).headSha, headSha)
  // What is asked about is what is done.
  const { change, action, headSha: asked } = Object(taskOf(plan, 'approve').args)
  assert.deepEqual([change, action, asked], [taskOf(plan, 'up').args, 'pulumi.up', headSha])
  assert.deepEqual(taskOf(plan, 'up').secrets, ['secret/stack'])
})

test('WORK-3: with Terraform and something to go back to, a rollback is previewed and asked for', async (t) => {
  const plan = await planOf({
    infrastructure: { connection: 'infra', variables: { version: headSha } },
    rollback: { connection: 'infra', variables: { version: 'the one before' } },
    monitor: { connection: 'shop', check: { query: 'errors', below: 1 } },
  })
  const shown = await validated(t, plan)
  assert.deepEqual(
    shown.filter(({ gated }) => gated).map(({ id }) => id),
    ['approve', 'rollback'],
  )
  assert.equal(taskOf(plan, 'preview-rollback').fallbackFor, 'monitor')
  assert.equal(taskOf(plan, 'monitor').action, 'monitor.query')
  assert.equal(taskOf(plan, 'up').action, 'terraform.apply')
  assert.deepEqual(Object(taskOf(plan, 'rollback').args).planSha256, {
    $from: 'preview-rollback',
    path: 'planSha256',
  })
  assert.deepEqual(taskOf(plan, 'summary').needs, ['monitor', 'explain', 'rollback'])
})

test('WORK-3: the preview is of the code of the head that is asked about and merged', async (t) => {
  const plan = await planOf({
    infrastructure: { connection: 'infra', path: 'deploy/shop', previewBy: 'infra' },
  })
  await validated(t, plan)
  const from = (path: string) => ({ $from: 'checkout', path })
  const code = { artifact: from('artifact'), sha: from('sha'), path: 'deploy/shop' }
  assert.deepEqual(Object(taskOf(plan, 'preview').args).code, code)
  assert.deepEqual(Object(taskOf(plan, 'checkout').args).sha, headSha)
  assert.deepEqual(Object(taskOf(plan, 'up').args).path, { $from: 'preview', path: 'path' })
  const [approve] = deployActions({ read: async () => assert.fail('nothing is read'), services: [] })
  const about = { runId: 'run_1', taskId: 'approve', requestedBy: 'person:olga' }
  const shown = (args: Json) => approve?.preview?.(args, about)
  const same = { headSha: 'a', preview: { sha: 'a' } }
  assert.deepEqual(await shown(same), same)
  assert.deepEqual(await shown({ headSha: 'a', preview: { sha: null } }), {
    headSha: 'a',
    preview: { sha: null },
  })
  const other = { headSha: 'a', preview: { sha: 'b' } }
  const refused = { code: 'connector.refused', detail: /is of b, not of the head/ }
  await assert.rejects(async () => shown(other), refused)
  await assert.rejects(async () => approve?.execute({ ...about, args: other } as never), refused)
  for (const path of ['/etc', '../up', 'a/../b', ''])
    await assert.rejects(
      async () => planOf({ infrastructure: { connection: 'infra', path } }),
      /folder of the code|Too small|Invalid/,
    )
  await assert.rejects(planOf({ infrastructure: { connection: 'infra', previewBy: 'stack' } }), {
    detail: /stack is a connection to pulumi, and infra to terraform/,
  })
})

test('WORK-3: what cannot be deployed is refused before anything runs', async () => {
  const command = ['npm', 'test']
  const refused: [{ [name: string]: Json }, RegExp][] = [
    [{ github: 'nothing' }, /nothing/],
    [{ infrastructure: { connection: 'hub' } }, /not to Pulumi or Terraform/],
    [{ infrastructure: { connection: 'stack', variables: { a: 1 } } }, /takes no variables/],
    [{ notify: 'hub' }, /no connection to Slack/],
    [{ agent: 'nobody' }, /no agent 'nobody'/],
    [{ tests: { command, secrets: [{ secretPath: 'secret/forbidden' }] } }, /nobody may lend/],
  ]
  for (const [more, detail] of refused) await assert.rejects(planOf(more), { detail }, JSON.stringify(more))
  const bot: Principal = { kind: 'agent', id: 'agt_other', name: 'other', roles: [] }
  await assert.rejects(planOf({}, bot), { code: 'policy.denied' })
  await planOf({ agent: 'other' }, bot)
})

test('WORK-3: words alone are enough where there is one of everything; else all that is missing is said', async (t) => {
  const number = { pullRequest: 123 }
  const one = {
    connections: connections.filter(({ name }) => name !== 'infra'),
    agents: agents.slice(0, 1),
  }
  const plan = await planOf(number, olga, { given: {}, known: one })
  await validated(t, plan)
  assert.equal(plan.title, 'Deploy pull request 123 of team/shop')
  assert.equal(taskOf(plan, 'up').action, 'pulumi.up')
  assert.deepEqual(Object(taskOf(plan, 'tests').args).command.at(-1), '.keyward/tests')
  const byBot: Principal = { kind: 'agent', id: 'agt_other', name: 'other', roles: [] }
  const ofBot = await planOf(number, byBot, { given: {}, known: { ...one, agents } })
  assert.equal(Object(taskOf(ofBot, 'lint').args).agentId, 'agt_other')
  const refused = async (known: Known, words: readonly RegExp[]) => {
    const failure = await planOf(number, olga, { given: {}, known }).catch((error: unknown) => error)
    for (const word of words) assert.match(Object(failure).detail, word)
  }
  await refused({ connections: [], agents: [] }, [
    /github \(there is no connection to GitHub\)/,
    /repository \(there is no/,
    /agent \(there is no agent\)/,
    /infrastructure \(/,
    /monitor \(/,
    /notify \(there is no connection to Slack/,
  ])
  await refused({ connections, agents }, [
    /infrastructure \(there are several: stack, infra\)/,
    /agent \(there are/,
  ])
})
