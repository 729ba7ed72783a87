import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { connectorSuite, type OpenedService, type Wrong } from '../../../test/support/connector-suite.ts'
import {
  type ConnectorWorld,
  firstAttempt,
  openConnectorWorld,
  secretPath,
} from '../../../test/support/connector-world.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { type GitHubServer, openGitHubServer, strangeKeyPem } from '../../../test/support/github-server.ts'
import { traceparentOf } from '../../core/index.ts'
import { github } from './github.ts'

type Opened = OpenedService & { server: GitHubServer; head: string; repository: string }

async function open(t: TestContext, settings: { [name: string]: Json } = {}): Promise<Opened> {
  const server = await openGitHubServer(t)
  server.branches.set('feature', server.branches.get('main') ?? '')
  const head = server.commit('feature', 'sell more', { 'shop.ts': 'export {}' })
  server.openPull('feature')
  server.checks.push({
    id: 1,
    name: 'unit',
    head_sha: head,
    status: 'completed',
    conclusion: 'success',
    html_url: null,
  })
  server.branches.set('other', server.branches.get('main') ?? '')
  server.commit('other', 'sell less', { 'less.ts': '' })
  const world = await openConnectorWorld(t, [github])
  world.secrets.set(secretPath, { private_key: server.privateKeyPem })
  await world.connect({ connector: 'github', settings: { ...server.settings, ...settings } })
  const { repository } = server
  const check = { status: 'completed', conclusion: 'success', title: 'Well', summary: 'All is well.' }
  const inputs: Opened['inputs'] = {
    'github.get-pull-request': { repository, number: 1 },
    'github.get-file': { repository, path: 'README.md' },
    'github.checkout': { repository, sha: head },
    'github.list-checks': { repository, ref: head },
    'github.wait-for-checks': { repository, ref: 'feature' },
    'github.create-branch': { repository, branch: 'keyward/fix', from: 'main' },
    'github.commit-files': {
      repository,
      branch: 'feature',
      message: 'mend',
      files: [
        { path: 'docs/a b.md', content: 'x' },
        { path: 'shop.ts', content: null },
      ],
    },
    'github.create-pull-request': { repository, head: 'other', base: 'main', title: 'Sell less' },
    'github.merge-pull-request': { repository, number: 1, headSha: head },
    'github.create-check-run': { repository, name: 'keyward', headSha: head, ...check },
    'github.update-check-run': { repository, checkRunId: 1, ...check },
    'github.create-issue': { repository, title: 'It is slow' },
    'github.comment': { repository, number: 1, body: 'Well done.' },
  }
  return {
    world,
    server,
    head,
    repository,
    inputs,
    secretValues: () => [server.privateKeyPem, ...server.given],
    asked: () => server.asked.length,
    state: () =>
      JSON.parse(
        JSON.stringify([
          [...server.branches],
          [...server.pulls.values()],
          server.checks,
          server.issues,
          server.comments,
        ]),
      ) as Json,
    goWrong: (wrong) => server.fault(/repos/, faults[wrong]),
  }
}

const faults: Record<Wrong, Parameters<GitHubServer['fault']>[1]> = {
  unauthorized: { status: 401, body: { message: 'Bad credentials' } },
  'rate-limited': {
    status: 403,
    body: { message: 'You have exceeded a secondary rate limit' },
    headers: { 'retry-after': '17' },
  },
  refused: { status: 422, body: { message: 'Validation Failed' } },
  unavailable: { status: 502, body: { message: 'Server Error' } },
  silent: 'hang up before',
}

connectorSuite(github, open)

const run = ({ world, inputs }: Opened, name: string, more: object = {}): Promise<Json> =>
  world.execute(name, { connection: 'main', ...inputs[name], ...more })
const refused = { code: 'connector.refused' }

test('CONN-1: a task has a token for its repository and its permissions alone, which is ended with the task', async (t) => {
  const opened = await open(t)
  const { server, world } = opened
  const seen: unknown[] = []
  const { fault } = server
  fault(/pulls\/1$/, 'hang up before')
  await assert.rejects(run(opened, 'github.get-pull-request'), { code: 'connector.unavailable' })
  await run(opened, 'github.get-pull-request')
  for (const { path, body } of server.asked) if (path.endsWith('/access_tokens')) seen.push(body)
  const asked = { repositories: ['shop'], permissions: { pull_requests: 'read', checks: 'read' } }
  assert.deepEqual(seen, [asked, asked])
  assert.deepEqual([server.given.length, server.tokens.size, world.sealed.size], [2, 0, 0])
  const [minted, ended] = [
    await world.entries('connection.token_minted'),
    await world.entries('connection.token_ended'),
  ]
  assert.deepEqual([minted.length, ended.length], [2, 2])
})

test('OBS-1: a request says which attempt it is for where traces are sent; a preview and the request for a token do not', async (t) => {
  const opened = await open(t)
  const { server, world, inputs } = opened
  await run(opened, 'github.get-pull-request')
  assert.deepEqual(server.parents, [])
  world.traces.sent = true
  await world.preview('github.merge-pull-request', {
    connection: 'main',
    ...inputs['github.merge-pull-request'],
  })
  assert.deepEqual(server.parents, [])
  await run(opened, 'github.get-pull-request')
  const { runId, taskId, attempt } = firstAttempt(null)
  assert.deepEqual(new Set(server.parents), new Set([traceparentOf({ runId, taskId, attempt })]))
  const toRepository = server.asked.filter(({ path }) => path.startsWith('/repos')).length
  assert.ok(server.parents.length < toRepository, 'the first attempt and the preview sent none')
})

test('CONN-1: a token that could not be ended with its task is ended later, also by the next process', async (t) => {
  const opened = await open(t)
  const { server, world } = opened
  server.fault(/installation\/token/, { status: 503 })
  await run(opened, 'github.get-file')
  assert.equal(server.tokens.size, 1)
  await world.connectors.start()
  t.after(() => world.connectors.stop())
  await eventually(async () => {
    world.clock.advance(5000)
    return server.tokens.size === 0 && world.sealed.size === 0
  }, 'the end of the token')
  assert.equal((await world.entries('connection.token_ended')).length, 1)
})

test('CONN-1: limits of GitHub are told with the time that it says, and a missing permission is none', async (t) => {
  const opened = await open(t)
  const fails = async (
    status: number,
    message: string,
    headers: Record<string, string>,
    expected: object,
  ) => {
    opened.server.fault(/contents/, { status, body: { message }, headers })
    await assert.rejects(run(opened, 'github.get-file'), expected)
  }
  const now = opened.world.clock.now().getTime() / 1000
  const primary = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(now + 90) }
  const limited = (retryAfterSeconds: number) => ({ code: 'connector.rate_limited', retryAfterSeconds })
  await fails(403, 'API rate limit exceeded', primary, limited(90))
  await fails(429, 'slow down', { 'retry-after': '7' }, limited(7))
  await fails(403, 'You have exceeded a secondary rate limit', {}, limited(60))
  await fails(403, 'Resource not accessible by integration', {}, { code: 'connector.unauthorized' })
  await fails(404, 'Not Found', {}, refused)
  await fails(
    301,
    'Moved',
    { location: 'https://elsewhere.test/' },
    { code: 'connector.refused', detail: /moved/ },
  )
  await fails(200, 'not a file', {}, { code: 'connector.unavailable', detail: /documents/ })
})

test('CONN-1: a key that GitHub does not know gets no token, and a refused one is not tried again', async (t) => {
  const opened = await open(t)
  opened.world.secrets.set(secretPath, { private_key: strangeKeyPem() })
  await assert.rejects(run(opened, 'github.get-file'), { code: 'connector.unauthorized' })
  opened.world.secrets.set(secretPath, { private_key: 'no key' })
  await assert.rejects(run(opened, 'github.get-file'), (error: Error & { detail?: string }) => {
    assert.ok(!error.detail?.includes('no key'))
    return true
  })
})

test('CONN-1: only the repositories of the connection can be worked with, and none is reached by a trick', async (t) => {
  const opened = await open(t, { repositories: ['team/shop'] })
  await run(opened, 'github.get-file', { repository: 'Team/Shop' }).catch(() => undefined)
  const before = opened.asked()
  await assert.rejects(run(opened, 'github.get-file', { repository: 'team/other' }), refused)
  for (const path of ['../x', '/etc', 'a/../b', '.git/config', 'a//b', 'a/'])
    await assert.rejects(run(opened, 'github.get-file', { path }), refused, path)
  for (const ref of ['a..b', '/a', 'a.lock', 'a b', 'x?y', '.a'])
    await assert.rejects(run(opened, 'github.create-branch', { branch: ref }), refused, ref)
  assert.equal(opened.asked(), before)
})

test('CONN-1: files are committed at once on top of the head, and a task that is repeated finds its commit', async (t) => {
  const opened = await open(t)
  const { server, world } = opened
  const before = server.commits.size
  const { sha } = (await run(opened, 'github.commit-files')) as { sha: string }
  assert.deepEqual(server.commits.get(sha)?.tree, { 'README.md': 'A shop', 'docs/a b.md': 'x' })
  server.commit('feature', 'somebody else goes on')
  assert.deepEqual(await run(opened, 'github.commit-files'), { sha, branch: 'feature' })
  assert.equal(server.commits.size, before + 2)
  const args = { connection: 'main', ...opened.inputs['github.commit-files'], headSha: opened.head }
  await assert.rejects(world.execute('github.commit-files', args, { idempotencyKey: 'run_2:a' }), refused)
  await assert.rejects(world.preview('github.commit-files', args), refused)
  await assert.rejects(run(opened, 'github.commit-files', { branch: 'none' }), refused)
})

test('CONN-1: a push between the reading of the head and the commit is not lost', async (t) => {
  const opened = await open(t)
  const { server } = opened
  server.fault(/PATCH .*refs/, { status: 422, body: { message: 'Update is not a fast forward' } })
  await assert.rejects(run(opened, 'github.commit-files'), {
    code: 'connector.refused',
    detail: /fast forward/,
  })
  assert.equal(server.branches.get('feature'), opened.head)
})

test('CONN-1: a branch that is elsewhere already is not moved', async (t) => {
  const opened = await open(t)
  await assert.rejects(run(opened, 'github.create-branch', { branch: 'feature' }), refused)
  await assert.rejects(run(opened, 'github.create-branch', { from: 'none' }), refused)
  assert.equal(opened.server.branches.get('feature'), opened.head)
})

test('APPR-1: an approver sees what is merged, and a head that moved is not merged', async (t) => {
  const opened = await open(t)
  const { server, world, head } = opened
  const args = { connection: 'main', ...opened.inputs['github.merge-pull-request'] }
  const preview = (await world.preview('github.merge-pull-request', args)) as {
    change: { [name: string]: Json }
  }
  assert.deepEqual(
    [preview.change['head'], preview.change['checks'], preview.change['files']],
    [
      { ref: 'feature', sha: head },
      'succeeded',
      [{ path: 'shop.ts', status: 'added', additions: 1, deletions: 0 }],
    ],
  )
  server.commit('feature', 'one more')
  await assert.rejects(world.preview('github.merge-pull-request', args), refused)
  await assert.rejects(world.execute('github.merge-pull-request', args), refused)
  assert.equal(server.pulls.get(1)?.merged, false)
})

test('CONN-1: what keeps a pull request from being merged is said', async (t) => {
  const merge = async (change: object) => {
    const opened = await open(t)
    Object.assign(opened.server.pulls.get(1) ?? {}, change)
    return run(opened, 'github.merge-pull-request')
  }
  await assert.rejects(merge({ draft: true }), { ...refused, detail: /draft/ })
  await assert.rejects(merge({ mergeable: false }), { ...refused, detail: /conflicts/ })
  await assert.rejects(merge({ state: 'closed' }), { ...refused, detail: /closed/ })
  const opened = await open(t)
  for (const [status, message] of [
    [405, 'Pull Request is not mergeable'],
    [409, 'Head branch was modified'],
  ] as const) {
    opened.server.fault(/\/merge/, { status, body: { message } })
    await assert.rejects(run(opened, 'github.merge-pull-request'), {
      ...refused,
      detail: new RegExp(message),
    })
  }
})

const reconcile = ({ world, inputs }: Opened) =>
  world.action('github.merge-pull-request').reconcile?.({
    ...firstAttempt({ connection: 'main', ...inputs['github.merge-pull-request'] }),
    attempt: 2,
  })

test('WORK-2: a merge whose answer was lost is found out, and never repeated blindly', async (t) => {
  const opened = await open(t)
  const { server } = opened
  server.fault(/\/merge/, 'hang up before')
  await assert.rejects(run(opened, 'github.merge-pull-request'), { code: 'connector.ambiguous' })
  assert.deepEqual(await reconcile(opened), { effect: 'none' })
  server.fault(/\/merge/, 'hang up after')
  await assert.rejects(run(opened, 'github.merge-pull-request'), { code: 'connector.ambiguous' })
  const sha = server.pulls.get(1)?.merge_commit_sha
  assert.deepEqual(await reconcile(opened), { effect: 'done', result: { output: { merged: true, sha } } })
})

test('WORK-2: a merge at another head than the one that was approved is nobody knows whose', async (t) => {
  const opened = await open(t)
  Object.assign(opened.server.pulls.get(1) ?? {}, {
    merged: true,
    state: 'closed',
    head: { ref: 'feature', sha: 'f'.repeat(40) },
    merge_commit_sha: 'e'.repeat(40),
  })
  const found = await reconcile(opened)
  assert.equal(found?.effect, 'unknown')
})

test('CONN-1: checks are waited for; one that fails, or that never comes, ends the wait', async (t) => {
  const opened = await open(t)
  const { server, world, head } = opened
  const [check] = server.checks
  Object.assign(check ?? {}, { status: 'in_progress', conclusion: null })
  const asked = () => server.asked.filter(({ path }) => path.endsWith('/check-runs')).length
  const waiting = run(opened, 'github.wait-for-checks', { required: ['lint'] })
  await eventually(async () => asked() === 1, 'the first look')
  Object.assign(check ?? {}, { status: 'completed', conclusion: 'success' })
  await eventually(async () => {
    world.clock.advance(15_000)
    return asked() > 2
  }, 'a look that misses lint')
  server.checks.push({ ...check, id: 2, name: 'lint', head_sha: head } as never)
  const ended = await eventually(async () => {
    world.clock.advance(15_000)
    return Promise.race([
      waiting,
      new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined))),
    ])
  }, 'both checks')
  assert.equal((ended as { state: string }).state, 'succeeded')
  server.checks.push({ ...check, id: 3, name: 'end to end', conclusion: 'failure', head_sha: head } as never)
  await assert.rejects(run(opened, 'github.wait-for-checks'), { ...refused, detail: /end to end/ })
})

test('CONN-1: waiting for checks stops when its task does', async (t) => {
  const opened = await open(t)
  opened.server.checks.length = 0
  const stop = new AbortController()
  const args = { connection: 'main', ...opened.inputs['github.wait-for-checks'] }
  let beats = 0
  const heartbeat = () => {
    beats += 1
  }
  const waiting = opened.world.execute('github.wait-for-checks', args, { signal: stop.signal, heartbeat })
  await eventually(async () => beats === 1, 'the first look, of which its run is told')
  stop.abort(new Error('the task was stopped: cancel'))
  await assert.rejects(waiting, /stopped/)
})

test('CONN-1: where GitHub tells of checks it is not asked again and again', async (t) => {
  const opened = await open(t)
  const { server, world, head, repository } = opened
  const [check] = server.checks
  Object.assign(check ?? {}, { status: 'in_progress', conclusion: null })
  const asked = () => server.asked.filter(({ path }) => path.endsWith('/check-runs')).length
  let beats = 0
  const heartbeat = () => void beats++
  const [connection] = await world.connectors.list()
  const tell = (place: string, ...topics: string[]) =>
    world.connectors.tell(connection?.id ?? '', { place, topics, steady: true })
  tell(repository.toUpperCase())
  const args = { connection: 'main', repository, ref: head }
  const waiting = world.execute('github.wait-for-checks', args, { heartbeat })
  await eventually(async () => asked() === 1, 'the first look')
  await eventually(async () => {
    world.clock.advance(15_000)
    return beats > 20
  }, 'heartbeats while nothing is told')
  assert.equal(asked(), 1)
  tell('team/else', head)
  tell(repository, 'f'.repeat(40))
  world.connectors.tell('con_none', { place: repository, topics: [head], steady: true })
  tell(repository, head)
  await eventually(async () => asked() === 2, 'a look after it is told')
  Object.assign(check ?? {}, { status: 'completed', conclusion: 'success' })
  await eventually(async () => {
    world.clock.advance(60_000)
    return asked() === 3
  }, 'a look after ten minutes, for a delivery may be lost')
  assert.equal(Object(await waiting).state, 'succeeded')
})

test('CONN-1: health says what is wrong with the App', async (t) => {
  const opened = await open(t)
  const health = async (world: ConnectorWorld) => {
    const [connection] = await world.connectors.list()
    return (await world.connectors.check(connection?.id ?? '')).health
  }
  assert.match((await health(opened.world))?.detail ?? '', /installed at team/)
  assert.equal(opened.server.given.length, 0)
  opened.server.suspended = true
  assert.match((await health(opened.world))?.detail ?? '', /suspended/)
  opened.world.secrets.set(secretPath, { private_key: strangeKeyPem() })
  assert.match((await health(opened.world))?.detail ?? '', /does not accept the key/)
  const elsewhere = await open(t, { installationId: '9' })
  assert.match((await health(elsewhere.world))?.detail ?? '', /no installation 9/)
  const away = await open(t, { apiUrl: 'http://127.0.0.1:1' })
  assert.deepEqual([(await health(away.world))?.state], ['down'])
  await assert.rejects(run(away, 'github.get-file'), { code: 'connector.unavailable' })
})

test('CONN-1: addresses that are neither https nor this machine are refused', async (t) => {
  await assert.rejects(open(t, { apiUrl: 'http://github.test' }), { code: 'request.invalid' })
})
