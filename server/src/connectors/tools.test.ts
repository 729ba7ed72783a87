import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { cleanUp } from '../../test/support/clean-up.ts'
import { type OpenedService, quietSuite, workingSuite } from '../../test/support/connector-suite.ts'
import { openConnectorWorld, secretPath } from '../../test/support/connector-world.ts'
import { createDraws } from '../../test/support/draws.ts'
import { createLocalCommands } from '../../test/support/local-commands.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { AppError } from '../core/index.ts'
import type { Connector } from './connector.ts'
import { pulumi } from './pulumi/pulumi.ts'
import { terraform } from './terraform/terraform.ts'

const artifact = { id: 'art_1', digest: '0'.repeat(64), sizeBytes: 1 }
const saved = { artifact, planSha256: '0'.repeat(64) }
const applied = { ...saved, serial: 1, lineage: 'a' }

/** Where every program that would run is counted, and none does. What they do is tried with real ones, in sandboxes. */
function counted(
  connector: Connector,
  more: { [name: string]: Json },
  inputs: { [name: string]: { [name: string]: Json } },
) {
  return async (t: TestContext) => {
    let runs = 0
    const sandboxed = {
      async run(): Promise<never> {
        runs++
        throw new AppError('sandbox.unavailable', 'no program runs in this test')
      },
      ended: async () => undefined,
    }
    const world = await openConnectorWorld(t, [connector], { sandboxed })
    world.secrets.set(secretPath, { password: 'of the test' })
    const settings = { folder: temporaryFolder(t), program: process.execPath, ...more }
    await world.connect({ connector: connector.name, settings })
    return { world, inputs, asked: () => runs }
  }
}

quietSuite(
  terraform,
  counted(terraform, {}, { 'terraform.plan': {}, 'terraform.apply': applied, 'terraform.destroy': applied }),
)
quietSuite(
  pulumi,
  counted(
    pulumi,
    { stack: 'acme/shop/test' },
    {
      'pulumi.preview': {},
      'pulumi.up': { ...saved, version: 1 },
      'pulumi.destroy': { version: 1 },
      'pulumi.refresh': { version: 1 },
      'pulumi.outputs': {},
      'pulumi.cancel': {},
    },
  ),
)

const draws = createDraws('tools')
const stackName = 'acme/shop/test'

type Stack = { key: string | null; resources: Record<string, string>; updates: Json[] }

/** A stack of the Pulumi stand-in that was updated once, and an update that was previewed. */
async function openStack(t: TestContext) {
  const secrets = { token: draws.text(30), passphrase: draws.text(30) }
  const stack: Stack = { key: null, resources: { shop: 'before', hidden: '!never shown' }, updates: [] }
  const server = createServer(async (request, response) => {
    if (request.headers.authorization !== `token ${secrets.token}`) return response.writeHead(401).end()
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    if (request.method === 'PUT') {
      const { kind, resources, key } = JSON.parse(Buffer.concat(parts).toString('utf8'))
      stack.updates.push({ version: stack.updates.length + 1, kind, result: 'succeeded' })
      Object.assign(stack, { resources, key })
    }
    return response.end(JSON.stringify(stack))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const folder = temporaryFolder(t)
  const configure = (shop: string): void =>
    writeFileSync(join(folder, 'resources.json'), JSON.stringify({ shop, hidden: '!never shown' }))
  configure('after')
  const local = createLocalCommands(temporaryFolder(t), (field) => Object(secrets)[field])
  const world = await openConnectorWorld(t, [pulumi], { sandboxed: local.sandboxed })
  world.secrets.set(secretPath, secrets)
  await world.connect({
    connector: 'pulumi',
    settings: {
      folder,
      program: join(import.meta.dirname, '../../test/support/pulumi-stand-in.mjs'),
      stack: stackName,
      passphrase: true,
      environment: { PULUMI_BACKEND_URL: `http://127.0.0.1:${port}` },
      secrets: [
        { field: 'token', variable: 'PULUMI_ACCESS_TOKEN', destinations: [{ host: 'x.test', port: 443 }] },
      ],
    },
  })
  const look = async (more: { [name: string]: Json } = {}) => {
    const { artifact, planSha256, version, path, ...shown } = Object(
      await world.execute('pulumi.preview', { connection: 'main', ...more }),
    )
    return { shown, input: { artifact, planSha256, version, path } }
  }
  return { secrets, stack, configure, local, world, look }
}

workingSuite(pulumi, async (t): Promise<OpenedService> => {
  const { secrets, stack, local, world, look } = await openStack(t)
  const { input } = await look()
  return {
    world,
    inputs: {
      'pulumi.preview': {},
      'pulumi.up': input,
      'pulumi.destroy': { version: 0 },
      'pulumi.refresh': { version: 0 },
      'pulumi.outputs': {},
      'pulumi.cancel': {},
    },
    asked: local.runs,
    state: () => JSON.parse(JSON.stringify([stack.resources, stack.updates])),
    secretValues: () => [...Object.values(secrets), 'never shown'],
  }
})

test('CONN-1: what Pulumi previews of code that a task has left is what it makes, whatever the folder holds', async (t) => {
  const { stack, configure, local, world, look } = await openStack(t)
  const resources = JSON.stringify({ shop: 'of the head', hidden: '!never shown' })
  const code = {
    artifact: local.keep('art_head', { 'deploy/shop/resources.json': resources, 'other.ts': '' }),
    sha: 'a'.repeat(40),
    path: 'deploy/shop',
  }
  const { shown, input } = await look({ code })
  assert.deepEqual([shown.sha, input.path], [code.sha, 'deploy/shop'])
  configure('of the folder')
  await world.execute('pulumi.up', { connection: 'main', ...input })
  assert.deepEqual(stack.resources, JSON.parse(resources))
  const wrong = { ...input, planSha256: '0'.repeat(64) }
  await assert.rejects(world.execute('pulumi.up', { connection: 'main', ...wrong }), {
    code: 'connector.refused',
    detail: /not the one that was previewed/,
  })
  assert.equal((await look()).shown.sha, null)
  for (const path of ['/', '../x', 'a/../../b', '-x/..'])
    await assert.rejects(look({ code: { ...code, path } }), {
      code: 'connector.refused',
      detail: /code.path/,
    })
})
