// Pulumi in real sandboxes: by a stand-in for its command that speaks the documented flags and JSON, with its stack behind the proxy.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Json } from '@keyward/contract'
import { apiHost, openUpstream } from './support/egress.ts'
import { mayBeMissing } from './support/needed.ts'
import { attemptsAt, connectionOwner, openTaskWorld } from './support/task-world.ts'
import { temporaryFolder } from './support/world.ts'

type Stack = {
  key: string | null
  resources: Record<string, string>
  updates: { version: number; kind: string; result: string }[]
}

test('CONN-1: Pulumi previews, updates as previewed, and destroys', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip !== undefined) return t.skip(mayBeMissing(world.skip))
  const { keyward } = world
  const [token, passphrase, hidden] = [24, 24, 12].map((bytes) => randomBytes(bytes).toString('hex')) as [
    string,
    string,
    string,
  ]
  const stack: Stack = { key: null, resources: {}, updates: [] }
  let locked = false
  const route = await openUpstream(t, async (request, response) => {
    if (request.headers.authorization !== `token ${token}`) return response.writeHead(401).end()
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    if (request.method === 'DELETE') locked = false
    if (request.method === 'PUT') {
      if (locked) return response.writeHead(409).end()
      const { kind, resources, key } = JSON.parse(Buffer.concat(parts).toString('utf8'))
      stack.updates.push({ version: stack.updates.length + 1, kind, result: 'succeeded' })
      Object.assign(stack, { resources, key })
    }
    return response.end(JSON.stringify(stack))
  })
  const folder = temporaryFolder(t)
  const configure = (resources: Record<string, string>): void =>
    writeFileSync(join(folder, 'resources.json'), JSON.stringify(resources))
  configure({ bucket: 'plain', database: `!${hidden}` })
  const secretPath = await world.keep('pulumi', { token, passphrase })
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
  await keyward.connectors.create(
    { name: 'stack', connector: 'pulumi', settings, secretPath },
    connectionOwner,
  )

  const { reconcile, preview, execute } = attemptsAt(keyward, 'stack')
  const upInput = ({ artifact, planSha256, version }: { [name: string]: Json }) =>
    ({ artifact, planSha256, version }) as { [name: string]: Json }

  await t.test('CONN-1: an update does what was previewed, and shows no secret', async () => {
    const previewed = await execute('pulumi.preview')
    assert.deepEqual([previewed['summary'], previewed['version']], [{ create: 2 }, 0])
    const input = upInput(previewed)
    const { steps } = await preview('pulumi.up', input)
    assert.deepEqual(
      steps.map(({ op, urn }: { op: string; urn: string }) => [op, urn.split('::').at(-1)]),
      [
        ['create', 'bucket'],
        ['create', 'database'],
      ],
    )
    const unknown = await reconcile('pulumi.up', input)
    assert.match(Object(unknown).reason, /at update 0, and it has had none/)
    assert.deepEqual(await execute('pulumi.up', input), {
      version: 1,
      outputs: { bucket: 'plain', database: '[secret]' },
    })
    assert.equal(Object(await reconcile('pulumi.up', input)).effect, 'done')
  })

  await t.test(
    'CONN-1: what was not previewed is not done, and another plan is not taken for the one',
    async () => {
      configure({ bucket: 'changed' })
      const input = upInput(await execute('pulumi.preview'))
      stack.resources = { bucket: 'changed' }
      await assert.rejects(execute('pulumi.up', input), { code: 'connector.refused', detail: /not planned/ })
      await assert.rejects(execute('pulumi.up', { ...input, planSha256: '0'.repeat(64) }), {
        detail: /not the one that was previewed/,
      })
      assert.equal(stack.updates.length, 1)
    },
  )

  await t.test(
    'CONN-1: an update that another one stands in the way of says so, until its lock is taken',
    async () => {
      locked = true
      await assert.rejects(execute('pulumi.refresh', { version: 1 }), { code: 'connector.unavailable' })
      await execute('pulumi.cancel')
      assert.equal((await execute('pulumi.refresh', { version: 1 }))['version'], 2)
    },
  )

  await t.test('CONN-1: a stack is destroyed only as it was looked at', async () => {
    await assert.rejects(execute('pulumi.destroy', { version: 1 }), { detail: /at version 2, not 1/ })
    const { version = null } = await execute('pulumi.outputs')
    assert.deepEqual((await preview('pulumi.destroy', { version })).summary, { delete: 1 })
    assert.deepEqual(await execute('pulumi.destroy', { version }), { version: 3, outputs: {} })
    assert.deepEqual(stack.resources, {})
  })

  await t.test('OPS-4: neither token nor passphrase stands in anything that was recorded', async () => {
    const { items } = await keyward.audit.page({ limit: 500, order: 'asc' })
    const recorded = JSON.stringify(items)
    assert.ok(items.length > 10)
    for (const value of [token, passphrase, hidden]) assert.ok(!recorded.includes(value))
    assert.ok(items.some(({ type }) => type === 'connection.used'))
  })
})
