// From the words of a goal to what runs: a pull request on a server that speaks as GitHub does, commands in real sandboxes, Pulumi by a
// stand-in for its command and Terraform for real, a service that is watched, and Slack's Web API.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { markOf } from '../src/connectors/github/client.ts'
import { systemPrincipal } from '../src/core/index.ts'
import { openDeploymentServices, openPulumiStack, openTerraformState } from './support/deployment.ts'
import { eventually } from './support/eventually.ts'
import { mayBeMissing } from './support/needed.ts'
import { connectionOwner, openTaskWorld, type TaskWorld } from './support/task-world.ts'
import { terraformOrSkip } from './support/terraform.ts'

const by = systemPrincipal('test')
const words = 'deploy the feature of pull request'

async function openDeployment(
  t: TestContext,
  world: TaskWorld,
  tool: Parameters<typeof openDeploymentServices>[1],
) {
  const { keyward } = world
  const services = await openDeploymentServices(t, tool)
  for (const { name, connector, settings, secret } of services.connections) {
    const secretPath = secret ? await world.keep(name, secret) : null
    await keyward.connectors.create({ name, connector, settings, secretPath }, connectionOwner)
  }
  await keyward.flows.documents.save({ name: 'deploy-shop', text: services.preset }, by)
  const person = await keyward.store.write((tx) => keyward.identity.bootstrapOwner(tx))
  const now = new Date()
  const approver = {
    ...connectionOwner,
    id: person.id,
    name: person.name,
    signedInAt: now,
    secondFactorAt: now,
  }

  return {
    ...services,
    async begin(number: number): Promise<string> {
      const goal = await keyward.goals.propose(`${words} ${number}`, by)
      const [proposal] = goal.proposals
      assert.equal(proposal?.problem, null)
      const digest = proposal?.plan?.planDigest ?? ''
      return (await keyward.goals.start(goal.id, { proposal: 1, digest }, by)).id
    },
    asked: (runId: string, taskId: string) =>
      eventually(async () => {
        const { state, reason } = await keyward.workflow.read(runId)
        assert.notEqual(state, 'Failed', reason ?? '')
        const { items } = await keyward.approvals.page({ limit: 20, state: 'pending' })
        return items.find((one) => one.runId === runId && one.taskId === taskId)
      }, `the question of ${taskId}`),
    approve: ({ id, digest }: { id: string; digest: string }) =>
      keyward.approvals.approve(approver, id, { digest }),
    deny: ({ id, digest }: { id: string; digest: string }) =>
      keyward.approvals.deny(approver, id, { digest, reason: 'not this week' }),
    /** What a run that waits for a person has used before is given back. */
    async assertHoldsNothing(): Promise<void> {
      const { lend, sandbox } = keyward
      const used = ['sandbox.started', 'lease.issued', 'connection.token_minted'].map(world.entries)
      for (const entries of await Promise.all(used)) assert.ok(entries.length > 0)
      assert.deepEqual(
        [(await lend.countActive()).size, sandbox.running(), services.hub.tokens.size],
        [0, [], 0],
      )
    },
    async ended(runId: string) {
      const { state, outcome, reason, tasks } = await keyward.workflow.whenEnded(runId)
      const states = Object.fromEntries(tasks.map((task) => [task.id, task.state]))
      return { state, outcome, reason, states, tasks }
    },
  }
}

test('WORK-3: a feature is deployed as it was approved', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip !== undefined) return t.skip(mayBeMissing(world.skip))
  const { stack, configure, ...tool } = await openPulumiStack(t)
  const place = await openDeployment(t, world, tool)
  const { hub } = place

  await t.test(
    'WORK-3: approved, it is merged at that head, made as previewed, watched and told',
    async () => {
      const { head, pull } = place.open('sell-more')
      configure('stack', 'more')
      const runId = await place.begin(pull.number)
      const question = await place.asked(runId, 'approve')
      const shown = JSON.stringify(question.preview)
      assert.ok(shown.includes(head) && shown.includes('sell-more.ts'), shown)
      assert.match(shown, /"op":"update"/)
      assert.deepEqual(
        [place.merges(pull.number), stack.updates.length],
        [[], 0],
        'nothing before the answer',
      )
      await place.assertHoldsNothing()
      await place.approve(question)
      const { state, outcome, states, reason, tasks } = await place.ended(runId)
      assert.deepEqual([state, outcome], ['Succeeded', 'Done'], reason ?? '')
      for (const id of [
        'fetch',
        'checkout',
        'tests',
        'lint',
        'preview',
        'approve',
        'merge',
        'up',
        'monitor',
        'notify',
      ])
        assert.equal(states[id], 'Succeeded', id)
      const tested = tasks.find(({ id }) => id === 'tests')?.output
      assert.equal(
        Object(tested).output,
        `${hub.repository}#${pull.number} at ${head} has README.md\nsell-more.ts\n`,
      )
      assert.deepEqual([place.merges(pull.number), pull.merged], [[head], true])
      assert.deepEqual([stack.resources, stack.updates.length], [{ shop: 'more' }, 1])
      assert.equal(place.said().length, 1)
      assert.match(place.said()[0] ?? '', /merged; deployed; well since/)
      configure('stack-before', 'more')
    },
  )

  await t.test(
    'WORK-3: denied, nothing is merged or made; the pull request and people are told',
    async () => {
      const { pull } = place.open('sell-less')
      configure('stack', 'less')
      const runId = await place.begin(pull.number)
      await place.deny(await place.asked(runId, 'approve'))
      const { outcome, states } = await place.ended(runId)
      assert.equal(outcome, 'Denied')
      assert.deepEqual(
        [states['merge'], states['up'], states['explain']],
        ['Skipped', 'Skipped', 'Succeeded'],
      )
      assert.deepEqual([place.merges(pull.number), pull.merged, stack.updates.length], [[], false, 1])
      const mark = markOf({ idempotencyKey: `${runId}:explain` })
      assert.deepEqual(
        hub.comments.map(({ number, body }) => [number, /not approved/.test(body) && body.includes(mark)]),
        [[pull.number, true]],
      )
      assert.equal(place.said().length, 2)
      assert.match(place.said()[1] ?? '', /not this week; not merged; not deployed/)
    },
  )

  await t.test(
    'WORK-3, APPR-1: a head that moved while somebody is asked voids the question: nothing is merged or made',
    async () => {
      const { pull } = place.open('sell-twice')
      const runId = await place.begin(pull.number)
      const question = await place.asked(runId, 'approve')
      hub.commit('sell-twice', 'something else')
      await place.approve(question)
      const { outcome, states, tasks } = await place.ended(runId)
      assert.deepEqual([outcome, states['merge'], states['up']], ['Failed', 'Skipped', 'Skipped'])
      assert.equal((await world.keyward.approvals.read(question.id)).state, 'voided')
      assert.match(tasks.find(({ id }) => id === 'approve')?.reason ?? '', /the head of/)
      assert.deepEqual([place.merges(pull.number), pull.merged, stack.updates.length], [[], false, 1])
      assert.match(place.said()[2] ?? '', /not merged; not deployed/)
    },
  )

  await t.test('WORK-3: what is not well afterwards is rolled back once a person has seen how', async () => {
    const { head, pull } = place.open('sell-worse')
    configure('stack', 'worse')
    place.service.well = false
    const runId = await place.begin(pull.number)
    await place.approve(await place.asked(runId, 'approve'))
    const question = await place.asked(runId, 'rollback')
    assert.match(JSON.stringify(question.preview), /"op":"update"/)
    assert.deepEqual(stack.resources, { shop: 'worse' }, 'nothing is taken back before the answer')
    await place.approve(question)
    const { outcome, states } = await place.ended(runId)
    assert.equal(outcome, 'RolledBack')
    assert.deepEqual([states['monitor'], states['rollback']], ['Failed', 'Succeeded'])
    assert.deepEqual([stack.resources, stack.updates.length], [{ shop: 'more' }, 3])
    assert.deepEqual(place.merges(pull.number), [head], 'once')
    assert.equal(place.said().length, 4)
    assert.match(place.said()[3] ?? '', /monitor failed[\s\S]*rolled back/)
  })

  await t.test('POL-3: only what was done as approved speaks for who asked', async () => {
    const ended = await world.keyward.workflow.endedOf('system:test', new Date(0))
    assert.deepEqual(ended, { succeeded: 1, failed: 2, cancelled: 1, denials: 1 })
  })
})

test('WORK-3: with Terraform, the head that was tested is what runs, and what ran before is what is gone back to', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip !== undefined) return t.skip(mayBeMissing(world.skip))
  const program = await terraformOrSkip(t)
  if (program === undefined) return
  const { state, ...tool } = await openTerraformState(t, program)
  const place = await openDeployment(t, world, tool)
  const { head, pull } = place.open('sell-worse')
  place.service.well = false
  const runId = await place.begin(pull.number)
  const question = await place.asked(runId, 'approve')
  assert.match(JSON.stringify(question.preview), new RegExp(`"after":"${head}"`))
  await place.approve(question)
  const back = await place.asked(runId, 'rollback')
  assert.deepEqual([state().commit, place.merges(pull.number)], [head, [head]])
  await place.approve(back)
  const { outcome, states } = await place.ended(runId)
  assert.deepEqual([outcome, states['rollback']], ['RolledBack', 'Succeeded'])
  assert.deepEqual([state().commit, place.merges(pull.number)], ['the one before', [head]])
  place.assertNoTokenLeft()
})
