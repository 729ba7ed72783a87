// A sandbox while it runs, seen through the real server: what it prints, what it uses, and its end by a person.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { api, type Json } from '@keyward/contract'
import { eventually } from './support/eventually.ts'
import { codeOf, scratchFolder, startServer } from './support/server.ts'
import { approve, ended, oneKeyProject, startLeakedKey } from './support/steps.ts'

type Heard = { id: string; name: string; data: { text?: string; stream?: string; type?: string } }

/** Reads server-sent events until `isLast` holds of one. */
async function hear(
  address: string,
  { token, lastId, isLast }: { token: string; lastId?: string; isLast: (event: Heard) => boolean },
): Promise<Heard[]> {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
  }
  const stop = new AbortController()
  const response = await fetch(address, { headers, signal: stop.signal })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const events: Heard[] = []
  let text = ''
  for await (const part of response.body ?? []) {
    text += Buffer.from(part).toString('utf8')
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
      if (field('data') === '') continue
      events.push({ id: field('id'), name: field('event'), data: JSON.parse(field('data')) })
    }
    if (events.some(isLast)) break
  }
  stop.abort()
  return events
}

const textOf = (events: readonly Heard[]): string => events.map(({ data }) => data.text ?? '').join('')

test('SAND-1, UI-1: what a sandbox prints and uses is seen while it runs, and a person can end it', async (t) => {
  const server = await startServer(t, { env: { KEYWARD_SANDBOX_POOL: '1' } })
  const status = await server.call(api.system.status, {})
  if (status.sandbox.level === 'none') return t.skip(`no sandbox here: ${status.sandbox.reasons.join(' ')}`)
  const project = oneKeyProject(t)
  const { agent, apiKey } = await server.call(api.agents.register, { name: 'shop-bot' })
  const workspace = scratchFolder(t, 'workspace')
  writeFileSync(join(workspace, 'copied-by-hand'), project.value)
  const script = [
    'echo first; cat copied-by-hand; echo; echo beside >&2',
    'head -c 3000000 /dev/zero > file',
    'while :; do sleep 1; done',
  ].join('\n')
  const run = await startLeakedKey(
    server,
    project.folder,
    (secretPath): Json => ({
      agentId: agent.id,
      title: 'Prints and waits',
      secretPath,
      field: 'value',
      variable: 'STRIPE_KEY',
      command: ['sh', '-c', script],
      workspace,
      environment: {},
      destinations: [{ host: 'api.example.com', port: 443 }],
      route: null,
    }),
  )
  await approve(server, run.id)
  const [sandbox] = await eventually(async () => {
    const { items } = await server.call(api.sandboxes.list, {})
    return items.some(({ usage }) => (usage?.diskBytes ?? 0) > 3_000_000 || (usage && !canSeeDisk())) && items
  }, 'a sandbox that has been measured')
  assert.ok(sandbox)

  await t.test('SAND-1: it is listed with its agent, its limits and what it uses', async () => {
    assert.deepEqual([sandbox.agentId, sandbox.runId], [agent.id, run.id])
    assert.equal(sandbox.limits.memoryBytes, 512 * 1024 * 1024)
    assert.ok((sandbox.usage?.memoryBytes ?? 0) > 1_000_000, JSON.stringify(sandbox.usage))
    assert.ok((sandbox.usage?.processes ?? 0) > 1)
    const { stdout } = await server.keyward(['sandbox', 'list'])
    assert.ok(stdout.includes(sandbox.id) && stdout.includes(agent.id), stdout)
    const metrics = String((await server.ask('GET', '/metrics')).body)
    assert.match(metrics, /^keyward_sandboxes_running 1$/m)
  })

  const short = process.availableMemory() < 2 * 1024 ** 3 && 'this machine is short of memory'
  await t.test(
    'SAND-1: another one is started ahead, for the next task like this',
    { skip: short },
    async () => {
      const listed = () => server.call(api.sandboxes.list, {})
      await eventually(async () => (await listed()).waiting === 1, 'a sandbox that waits')
      const { stderr, stdout } = await server.keyward(['sandbox', 'list'])
      assert.match(stdout + stderr, /1 more started ahead/)
      assert.match(String((await server.ask('GET', '/metrics')).body), /^keyward_sandboxes_waiting 1$/m)
    },
  )

  const taskId = sandbox.taskId ?? ''
  const address = `${server.address}/api/v1/runs/${run.id}/tasks/${taskId}/output`
  const live = await hear(`${address}/stream`, {
    token: server.token,
    isLast: ({ data }) => data.stream === 'stderr',
  })

  await t.test('LEND-2: what it prints is streamed without the values that were lent to it', () => {
    assert.match(textOf(live), /^first\n/)
    assert.match(textOf(live), /\[redacted by Keyward\]/)
    assert.ok(!textOf(live).includes(project.value))
  })

  await t.test('SAND-1: no agent sees another’s output, lists sandboxes or ends one', async () => {
    for (const [method, path, more] of [
      ['GET', `/api/v1/runs/${run.id}/tasks/${taskId}/output`, {}],
      ['GET', `/api/v1/runs/${run.id}/tasks/${taskId}/output/stream`, {}],
      ['GET', '/api/v1/sandboxes', {}],
      ['POST', `/api/v1/sandboxes/${sandbox.id}/end`, { body: { reason: 'for myself' } }],
    ] as const) {
      const reply = await server.ask(method, path, { token: apiKey, ...more })
      assert.deepEqual([reply.status, codeOf(reply)], [403, 'policy.denied'], path)
    }
  })

  await t.test('SAND-1: what is not there is said', async () => {
    const none = await server.ask('POST', '/api/v1/sandboxes/none/end', { body: { reason: 'not there' } })
    assert.deepEqual([none.status, codeOf(none)], [404, 'sandbox.not_found'])
    for (const path of [`/api/v1/runs/${run.id}/tasks/none/output`, '/api/v1/runs/run_none/tasks/x/output'])
      for (const end of ['', '/stream'])
        assert.equal(codeOf(await server.ask('GET', path + end)), 'run.not_found', path + end)
  })

  const following = server.keyward(['runs', 'logs', run.id, '--follow'])
  const rest = hear(`${address}/stream`, {
    token: server.token,
    lastId: live.at(-1)?.id ?? '',
    isLast: ({ name }) => name === 'end',
  })
  const told = await server.keyward(['sandbox', 'end', sandbox.id, '--reason', 'seen enough'])
  assert.equal(told.code, 0, told.stderr)

  await t.test(
    'SAND-1: ended by a person, its task fails with the reason, and so is it recorded',
    async () => {
      const last = await ended(server, run.id)
      const task = last.tasks.find(({ id }) => id === taskId)
      assert.equal(task?.state, 'Failed')
      assert.match(task?.reason ?? '', /a person ended it: seen enough/)
      const { items } = await server.call(api.audit.list, { type: 'sandbox.ended' })
      assert.deepEqual(
        items.map(({ detail }) => detail),
        [{ sandboxId: sandbox.id, reason: 'seen enough' }],
      )
      assert.deepEqual((await server.call(api.sandboxes.list, {})).items, [])
    },
  )

  await t.test('SAND-1: a stream ends with its task; who comes back goes on from what was seen', async () => {
    const events = await rest
    assert.equal(events.at(-1)?.name, 'end')
    assert.doesNotMatch(textOf(events), /first/)
    const { code, stdout, stderr } = await following
    assert.equal(code, 0, stderr)
    assert.match(stdout, new RegExp(`^${taskId} \\| first\\n${taskId} \\| \\[redacted by Keyward\\]`))
    assert.match(stderr, new RegExp(`^${taskId} \\| beside\\n`))
    const alone = await server.keyward(['runs', 'logs', run.id, '--task', taskId])
    assert.match(alone.stdout, /^first\n\[redacted by Keyward\]/)
    const late = await server.call(api.runs.output, { runId: run.id, taskId })
    assert.deepEqual([late.ended, late.missed], [true, false])
    assert.match(late.chunks.map(({ text }) => text).join(''), /^first\n/)
  })

  await t.test('SAND-1: the audit log says what isolated it', async () => {
    const { items } = await server.call(api.audit.list, { type: 'sandbox.started' })
    const { driver, level } = sandbox
    assert.deepEqual(
      items.map(({ detail }) => detail),
      [{ command: ['sh', '-c', script], driver, level }],
    )
  })

  await t.test('BUS-1: the live stream tells of the beginning and the end of a sandbox', async () => {
    const events = await hear(`${server.address}/api/v1/events`, {
      token: server.token,
      lastId: '0',
      isLast: ({ data }) => data.type === 'sandbox.finished',
    })
    const types = events.map(({ data }) => data.type)
    assert.ok(types.includes('sandbox.started'))
  })
})

/** Only root is let into the namespace of every sandbox. */
const canSeeDisk = (): boolean => process.getuid?.() === 0
