// From the words of a goal to what runs: a pull request on a server that speaks as GitHub does, commands in real sandboxes, Pulumi by a
// stand-in for its command, a service that is watched, and Slack's Web API.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { markOf } from '../src/connectors/github/client.ts'
import { systemPrincipal } from '../src/core/index.ts'
import { startService, startSlack, wordsOf } from './support/chat-servers.ts'
import { apiHost, openUpstream } from './support/egress.ts'
import { eventually } from './support/eventually.ts'
import { openGitHubServer } from './support/github-server.ts'
import { mayBeMissing } from './support/needed.ts'
import { openTaskWorld, type TaskWorld } from './support/task-world.ts'
import { temporaryFolder } from './support/world.ts'

const by = systemPrincipal('test')
const owner = { kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] } as const
const words = 'deploy the feature of pull request'

/** What the stand-in keeps, and two folders: what is to run, and what ran before. */
async function openStack(t: TestContext, world: TaskWorld) {
  const [token, passphrase] = [randomBytes(24).toString('hex'), randomBytes(24).toString('hex')]
  const stack = { key: null, resources: { shop: 'before' }, updates: [] as Json[] }
  const route = await openUpstream(t, async (request, response) => {
    if (request.headers.authorization !== `token ${token}`) return response.writeHead(401).end()
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    if (request.method === 'PUT') {
      const { kind, resources, key } = JSON.parse(Buffer.concat(parts).toString('utf8'))
      stack.updates.push({ version: stack.updates.length + 1, kind, result: 'succeeded' })
      Object.assign(stack, { resources, key })
    }
    return response.end(JSON.stringify(stack))
  })
  const secretPath = await world.keep('pulumi', { token, passphrase })
  const connect = async (name: string): Promise<(value: string) => void> => {
    const folder = temporaryFolder(t)
    const settings = {
      folder,
      program: join(import.meta.dirname, 'support', 'pulumi-stand-in.mjs'),
      stack: 'acme/shop/test',
      passphrase: true,
      environment: { PULUMI_BACKEND_URL: `https://${apiHost}` },
      secrets: [
        {
          field: 'token',
          variable: 'PULUMI_ACCESS_TOKEN',
          destinations: [{ host: apiHost, port: 443 }],
          injection: { kind: 'header', name: 'authorization' },
        },
      ],
      route,
    }
    await world.keyward.connectors.create({ name, connector: 'pulumi', settings, secretPath }, owner)
    return (shop) => writeFileSync(join(folder, 'resources.json'), JSON.stringify({ shop }))
  }
  const configure = await connect('stack')
  const configureBefore = await connect('stack-before')
  configureBefore('before')
  return { stack, configure, configureBefore }
}

const presetOf = (repository: string): string => {
  const command = ['/bin/sh', '-ec', 'echo "$REPOSITORY#$PULL_REQUEST at $HEAD_SHA has $(ls)"']
  return JSON.stringify({
    version: 1,
    title: 'Deploy the shop',
    goals: [`deploy [the feature of] pull request {number}`],
    inputs: { number: { type: 'integer', title: 'Number of the pull request', minimum: 1 } },
    uses: 'deploy-feature',
    with: {
      pullRequest: { $input: 'number' },
      repository,
      github: 'hub',
      agent: 'shop-bot',
      tests: { command },
      lint: { command },
      infrastructure: { connection: 'stack' },
      monitor: { connection: 'shop', check: { windowSeconds: 0 } },
      notify: 'releases',
      rollback: { connection: 'stack-before' },
    },
  })
}

async function openDeployment(t: TestContext, world: TaskWorld) {
  const { keyward } = world
  const hub = await openGitHubServer(t)
  const token = randomBytes(24).toString('hex')
  const slack = await startSlack(t, token)
  const service = { well: true }
  const shop = await startService(t, () => ({ status: service.well ? 200 : 503 }))
  const connect = async (
    name: string,
    connector: string,
    settings: { [name: string]: Json },
    secret?: Record<string, string>,
  ) =>
    keyward.connectors.create(
      { name, connector, settings, secretPath: secret ? await world.keep(name, secret) : null },
      owner,
    )
  await connect('hub', 'github', hub.settings, { private_key: hub.privateKeyPem })
  const conversation = { conversation: 'C01', apiUrl: slack.apiUrl, allowPrivate: true }
  await connect('releases', 'slack', conversation, { 'bot-token': token })
  await connect('shop', 'monitor', { address: shop.url })
  const stacked = await openStack(t, world)
  await keyward.flows.documents.save({ name: 'deploy-shop', text: presetOf(hub.repository) }, by)
  const person = await keyward.store.write((tx) => keyward.identity.bootstrapOwner(tx))
  const now = new Date()
  const approver = { ...owner, id: person.id, name: person.name, signedInAt: now, secondFactorAt: now }

  return {
    ...stacked,
    hub,
    slack,
    service,
    /** A pull request with a change of its own. */
    open(branch: string) {
      hub.branches.set(branch, hub.branches.get('main') ?? '')
      const head = hub.commit(branch, `make ${branch}`, { [`${branch}.ts`]: 'export {}' })
      return { head, pull: hub.openPull(branch) }
    },
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
    async ended(runId: string) {
      const { state, outcome, reason, tasks } = await keyward.workflow.whenEnded(runId)
      const states = Object.fromEntries(tasks.map((task) => [task.id, task.state]))
      return { state, outcome, reason, states, tasks }
    },
    /** What was sent to merge this pull request. */
    merges: (number: number) =>
      hub.asked
        .filter(({ method, path }) => method === 'PUT' && path.endsWith(`/pulls/${number}/merge`))
        .map(({ body }) => body['sha']),
    said: () => slack.posts.map(wordsOf),
  }
}

test('WORK-3: a feature is deployed as it was approved', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip !== undefined) return t.skip(mayBeMissing(world.skip))
  const place = await openDeployment(t, world)
  const { hub, stack, configure, configureBefore } = place

  await t.test(
    'WORK-3: approved, it is merged at that head, made as previewed, watched and told',
    async () => {
      const { head, pull } = place.open('sell-more')
      configure('more')
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
      configureBefore('more')
    },
  )

  await t.test(
    'WORK-3: denied, nothing is merged or made; the pull request and people are told',
    async () => {
      const { pull } = place.open('sell-less')
      configure('less')
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
    'WORK-3: a head that moved after it was tested is not merged, and nothing is made',
    async () => {
      const { pull } = place.open('sell-twice')
      const runId = await place.begin(pull.number)
      const question = await place.asked(runId, 'approve')
      hub.commit('sell-twice', 'something else')
      await place.approve(question)
      const { state, reason, states } = await place.ended(runId)
      assert.deepEqual([state, states['merge'], states['up']], ['Failed', 'Failed', 'Skipped'])
      assert.match(reason ?? '', /the head of/)
      assert.deepEqual([place.merges(pull.number), pull.merged, stack.updates.length], [[], false, 1])
      assert.match(place.said()[2] ?? '', /not merged; not deployed/)
    },
  )

  await t.test('WORK-3: what is not well afterwards is rolled back once a person has seen how', async () => {
    const { head, pull } = place.open('sell-worse')
    configure('worse')
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
})
