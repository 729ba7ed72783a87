// Connected services against the real server: from the command line to the service and back into health, metrics and the log.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { eventually } from './support/eventually.ts'
import { events, type SignedDelivery, signed } from './support/github-deliveries.ts'
import { openGitHubServer, strangeKeyPem } from './support/github-server.ts'
import { statusOfLarge } from './support/large-request.ts'
import { newPaymentsKey } from './support/leaky-project.ts'
import { codeOf, startServer } from './support/server.ts'
import { ended, pendingApproval } from './support/steps.ts'

test('CONN-1, WORK-3: a GitHub App is connected, read from, watched and forgotten, and its key is shown nowhere', async (t) => {
  const gitHub = await openGitHubServer(t)
  const server = await startServer(t)
  const keep = (private_key: string, cas: number) =>
    server.call(api.secrets.write, { path: 'secret/github/app', set: { private_key }, cas })
  await keep(gitHub.privateKeyPem, 0)
  const { appId, installationId, apiUrl } = gitHub.settings
  const set = [
    '--set',
    `appId=${appId}`,
    '--set',
    `installationId=${installationId}`,
    '--set',
    `apiUrl=${apiUrl}`,
  ]
  const add = ['connections', 'add', 'code', '--connector', 'github', '--secret', 'secret/github/app', ...set]
  const added = await server.keyward(add)
  assert.equal(added.code, 0, added.stderr)
  assert.match(added.stdout, /up after \d+ ms: installed at team/)
  assert.match((await server.keyward(add)).stderr, /there is a connection 'code' already/)
  assert.match((await server.keyward(['connectors', 'show', 'github'])).stdout, /github\.merge-pull-request/)
  const doctor = (await server.keyward(['doctor', '--data', server.dataDir])).stdout
  assert.match(doctor, /ok +github +1 up, the slowest answered in \d+ ms/)
  const metrics = async () => String((await server.ask('GET', '/metrics')).body)
  assert.match(await metrics(), /^keyward_connector_up\{connector="github"\} 1$/m)

  const { repository } = gitHub
  const value = newPaymentsKey()
  const sha = gitHub.commit('main', 'a key', { 'config/.env': `A=1\nSTRIPE_KEY=${value}\n` })
  const wanted = { repository, sha, path: 'config/.env', github: 'code' }
  const start = ['runs', 'start', 'read-file', '--input', '-', '--watch', '--json']
  const ran = await server.keyward(start, { input: JSON.stringify(wanted) })
  assert.equal(ran.code, 0, ran.stderr)
  const { tasks } = JSON.parse(ran.stdout) as { tasks: { id: string; output: unknown }[] }
  assert.deepEqual(tasks.find(({ id }) => id === 'read')?.output, {
    path: 'config/.env',
    sizeBytes: 16 + value.length,
    text: 'A=1\nSTRIPE_KEY=[secret]\n',
    takenOut: 1,
  })

  await keep(strangeKeyPem(), 1)
  const checked = await server.keyward(['connections', 'check', 'code'])
  assert.equal(checked.code, 1)
  assert.match(checked.stdout, /down after \d+ ms: GitHub does not accept the key/)
  assert.match(await metrics(), /^keyward_connector_up\{connector="github"\} 0$/m)
  const down = (await server.keyward(['doctor', '--data', server.dataDir])).stdout
  assert.match(down, /warn +github +1 down/)
  const { items } = await server.call(api.audit.list, { type: 'connection.checked' })
  assert.deepEqual(items.map(({ outcome }) => outcome).sort(), ['done', 'failed'])
  assert.equal((await server.keyward(['connections', 'remove', 'code'])).code, 0)
  assert.equal((await server.keyward(['connections', 'check', 'code'])).code, 2)
  for (const line of gitHub.privateKeyPem
    .split('\n')
    .filter((part) => part.length > 40)
    .slice(0, 2))
    assert.ok(!server.output().includes(line) && !JSON.stringify(items).includes(line))
})

test('CONN-1, WORK-1: GitHub tells a connection of events, which start what triggers say and wake what waits', async (t) => {
  const gitHub = await openGitHubServer(t)
  const server = await startServer(t)
  const { repository } = gitHub
  const sha = gitHub.branches.get('main') ?? ''
  gitHub.checks.push({
    id: 1,
    name: 'unit',
    head_sha: sha,
    status: 'queued',
    conclusion: null,
    html_url: null,
  })
  await server.call(api.secrets.write, {
    path: 'secret/github/app',
    set: { private_key: gitHub.privateKeyPem },
    cas: 0,
  })
  const { id: connectionId } = await server.call(api.connections.create, {
    name: 'code',
    connector: 'github',
    settings: gitHub.settings,
    secretPath: 'secret/github/app',
  })
  const issued = await server.keyward(['connections', 'hook', 'issue', 'code', '--json'])
  assert.equal(issued.code, 0, issued.stderr)
  const { secret, hook } = JSON.parse(issued.stdout) as { secret: string; hook: { address: string } }
  assert.equal(hook.address, `/api/v1/hooks/github/${connectionId}`)

  const post = (path: string, { headers, body }: SignedDelivery) =>
    server.ask('POST', path, { headers, body: body.toString(), token: null })
  const pushedNow = { full_name: repository, pushed_at: Math.floor(Date.now() / 1000) }
  const push = (key = secret) => signed(key, 'push', events.push(undefined, { repository: pushedNow }))
  const refused: [string, string, SignedDelivery][] = [
    ['another secret', hook.address, push('x')],
    ['no signature', hook.address, { headers: {}, body: Buffer.from('{}') }],
    ['an unknown connection', `${hook.address}x`, push()],
  ]
  const answers = new Set<string>()
  for (const [what, path, delivery] of refused) {
    const { status, body } = await post(path, delivery)
    assert.deepEqual([status, Object(body).code], [401, 'hook.refused'], what)
    answers.add(JSON.stringify({ ...Object(body), instance: '' }))
  }
  assert.equal(answers.size, 1, 'nobody learns whether somebody listens')
  assert.equal((await post(hook.address, signed(secret, 'push', Buffer.from('a=b')))).status, 401)
  assert.equal(await statusOfLarge(`${server.address}${hook.address}`, 6_000_000), 413)
  assert.deepEqual((await post(hook.address, signed(secret, 'ping', events.ping()))).body, { use: 'ping' })

  const goal = 'diagnose shop after {branch}'
  const add = ['triggers', 'add', 'code', '--event', 'push', '--repository', repository, '--branch', 'ma*']
  const both = await server.keyward([...add, '--goal', goal, '--flow', 'diagnose'])
  assert.match(both.stderr, /a flow, or a goal/)
  const added = await server.keyward([...add, '--flow', 'diagnose', '--input', '-', '--json'], {
    input: JSON.stringify({ service: { $event: 'branch' } }),
  })
  assert.equal(added.code, 0, added.stderr)
  const { id: triggerId } = JSON.parse(added.stdout) as { id: string }
  const wait = { connection: 'code', repository, ref: sha, pollSeconds: 600 }
  const task = { id: 'wait', title: 'Wait for checks', action: 'github.wait-for-checks', args: wait }
  const { id: waiting } = await server.call(api.runs.start, {
    plan: { version: 1, flow: 'waits', title: 'Wait for the checks of main', input: {}, tasks: [task] },
  })
  await eventually(
    async () => gitHub.asked.some(({ path }) => path.endsWith('/check-runs')),
    'the first look',
  )

  const delivery = push()
  const taken = await post(hook.address, delivery)
  assert.deepEqual([taken.status, taken.body], [202, { use: 'starts' }])
  assert.deepEqual(codeOf(await post(hook.address, delivery)), 'hook.repeated')
  const fired = await eventually(async () => {
    const trigger = await server.call(api.triggers.read, { triggerId })
    return trigger.last?.runState === 'Succeeded' && trigger
  }, 'the run that the push starts')
  assert.deepEqual([fired.started, fired.firings.length], [1, 1])

  Object.assign(gitHub.checks[0] ?? {}, { status: 'completed', conclusion: 'success' })
  assert.deepEqual((await post(hook.address, signed(secret, 'check_run', events.checkRun(sha)))).body, {
    use: 'wakes',
  })
  await eventually(
    async () => (await server.call(api.runs.read, { runId: waiting })).state === 'Succeeded',
    'the task that waits for checks, ten minutes before it would look again',
  )

  gitHub.branches.set('feature', sha)
  gitHub.commit('feature', 'what is asked about', { 'more.txt': 'more' })
  const pull = gitHub.openPull('feature')
  const { number, head: asked } = pull
  const args = { connection: 'code', repository, number, headSha: asked.sha }
  const { id: merging } = await server.call(api.runs.start, {
    plan: { title: 'Merge it', tasks: [{ id: 'merge', action: 'github.merge-pull-request', args }] },
  })
  const question = await pendingApproval(server, merging)
  const head = gitHub.commit('feature', 'something else', { 'more.txt': 'less' })
  const content = events.pullRequest({ action: 'synchronize', number, head })
  const pull_request = { ...Object(content['pull_request']), updated_at: new Date().toISOString() }
  await post(hook.address, signed(secret, 'pull_request', { ...content, pull_request }))
  const failed = await ended(server, merging)
  assert.match(failed.reason ?? '', /approval\.void.*the head of #\d+ is/)
  const { state } = await server.call(api.approvals.read, { approvalId: question.id })
  assert.deepEqual([state, pull.merged], ['voided', false], 'nobody is asked for what would not be done')
  const shown = await server.keyward(['connections', 'hook', 'show', 'code'])
  assert.match(shown.stdout, /Started, woke, not used +1, 2, 0/)
  assert.match((await server.keyward(['triggers', 'show', triggerId])).stdout, /push, team\/shop, main/)
  assert.match((await server.keyward(['triggers', 'list'])).stdout, new RegExp(`${triggerId} +Succeeded`))
  const metrics = String((await server.ask('GET', '/metrics')).body)
  assert.match(metrics, /^keyward_hook_deliveries\{use="wakes"\} 2$/m)
  assert.match(metrics, /^keyward_trigger_events\{outcome="started"\} 1$/m)
  for (const path of ['/api/v1/triggers', '/api/v1/connection-hooks'])
    assert.equal((await server.ask('GET', path, { token: null })).status, 401, path)
  const end = [
    ['triggers', 'remove', triggerId],
    ['connections', 'hook', 'remove', 'code'],
  ]
  for (const args of end) assert.equal((await server.keyward(args)).code, 0)
  assert.equal((await post(hook.address, push())).status, 401)
  assert.ok(!server.output().includes(secret))
})
