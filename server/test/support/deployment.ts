// What a deployment works with: a server that speaks as GitHub does, a stack of Pulumi by a stand-in or a state of Terraform, a
// service that is watched, and Slack's Web API. They outlive the Keyward that works with them.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Json } from '@keyward/contract'
import { startService, startSlack, wordsOf } from './chat-servers.ts'
import { apiHost, openUpstream } from './egress.ts'
import { openGitHubServer } from './github-server.ts'
import { backendBlock, openStateBackend } from './terraform.ts'
import { temporaryFolder } from './world.ts'

/** A connection as somebody makes it, with the fields of its secret. */
export type Connected = {
  readonly name: string
  readonly connector: string
  readonly settings: { readonly [name: string]: Json }
  readonly secret: Readonly<Record<string, string>> | null
}

const random = (): string => randomBytes(24).toString('hex')
const at = { destinations: [{ host: apiHost, port: 443 }] }

type Stack = { key: string | null; resources: Record<string, string>; updates: Json[] }

/** Two folders of one stack: what is to run, and what ran before. */
export async function openPulumiStack(t: TestContext) {
  const [token, passphrase] = [random(), random()]
  const stack: Stack = { key: null, resources: { shop: 'before' }, updates: [] }
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
  const folders = { stack: temporaryFolder(t), 'stack-before': temporaryFolder(t) }
  const configure = (name: keyof typeof folders, shop: string): void =>
    writeFileSync(join(folders[name], 'resources.json'), JSON.stringify({ shop }))
  configure('stack-before', 'before')
  const connections = Object.entries(folders).map(
    ([name, folder]): Connected => ({
      name,
      connector: 'pulumi',
      secret: { token, passphrase },
      settings: {
        folder,
        program: join(import.meta.dirname, 'pulumi-stand-in.mjs'),
        stack: 'acme/shop/test',
        passphrase: true,
        environment: { PULUMI_BACKEND_URL: `https://${apiHost}` },
        secrets: [
          {
            field: 'token',
            variable: 'PULUMI_ACCESS_TOKEN',
            injection: { kind: 'header', name: 'authorization' },
            ...at,
          },
        ],
        route,
      },
    }),
  )
  const used = { infrastructure: { connection: 'stack' }, rollback: { connection: 'stack-before' } }
  return { stack, configure, connections, used }
}

/** One folder whose variable says which commit runs. */
export async function openTerraformState(t: TestContext, program: string) {
  const password = random()
  const backend = await openStateBackend(t, password)
  const folder = temporaryFolder(t)
  writeFileSync(
    join(folder, 'main.tf'),
    `${backendBlock}variable "commit" { type = string }\nresource "terraform_data" "shop" { input = var.commit }\n`,
  )
  const infra: Connected = {
    name: 'infra',
    connector: 'terraform',
    secret: { password },
    settings: {
      folder,
      program,
      environment: { TF_HTTP_USERNAME: 'keyward' },
      secrets: [
        {
          field: 'password',
          variable: 'TF_HTTP_PASSWORD',
          injection: { kind: 'basic', part: 'password' },
          ...at,
        },
      ],
      route: backend.route,
    },
  }
  const used = {
    infrastructure: { connection: 'infra', variables: { commit: { $from: 'fetch', path: 'head.sha' } } },
    rollback: { connection: 'infra', variables: { commit: 'the one before' } },
  }
  /** The commit that runs, and how often that was changed. */
  const state = (): { commit: string; serial: number } => {
    const { serial, resources } = JSON.parse(backend.state())
    return { serial, commit: resources[0].instances[0].attributes.input.value }
  }
  return { state, connections: [infra], used }
}

const command = ['/bin/sh', '-ec', 'echo "$REPOSITORY#$PULL_REQUEST at $HEAD_SHA has $(ls)"']

/** The services around it, and the flow that a person saves. */
export async function openDeploymentServices(
  t: TestContext,
  { connections, used }: { connections: readonly Connected[]; used: { [name: string]: Json } },
) {
  const hub = await openGitHubServer(t)
  const token = random()
  const slack = await startSlack(t, token)
  const service = { well: true }
  const shop = await startService(t, () => ({ status: service.well ? 200 : 503 }))
  const { repository } = hub
  const conversation = { conversation: 'C01', apiUrl: slack.apiUrl, allowPrivate: true }
  const own: Connected[] = [
    { name: 'hub', connector: 'github', settings: hub.settings, secret: { private_key: hub.privateKeyPem } },
    { name: 'releases', connector: 'slack', settings: conversation, secret: { 'bot-token': token } },
    { name: 'shop', connector: 'monitor', settings: { address: shop.url }, secret: null },
  ]
  return {
    hub,
    service,
    connections: [...connections, ...own],
    preset: JSON.stringify({
      version: 1,
      title: 'Deploy the shop',
      goals: ['deploy [the feature of] pull request {number}'],
      inputs: { number: { type: 'integer', title: 'Number of the pull request', minimum: 1 } },
      uses: 'deploy-feature',
      with: {
        pullRequest: { $input: 'number' },
        repository,
        github: 'hub',
        agent: 'shop-bot',
        tests: { command },
        lint: { command },
        monitor: { connection: 'shop', check: { windowSeconds: 0 } },
        notify: 'releases',
        ...used,
      },
    }),
    /** A pull request with a change of its own. */
    open(branch: string) {
      hub.branches.set(branch, hub.branches.get('main') ?? '')
      const head = hub.commit(branch, `make ${branch}`, { [`${branch}.ts`]: 'export {}' })
      return { head, pull: hub.openPull(branch) }
    },
    /** What was sent to merge this pull request. */
    merges: (number: number) =>
      hub.asked
        .filter(({ method, path }) => method === 'PUT' && path.endsWith(`/pulls/${number}/merge`))
        .map(({ body }) => body['sha']),
    said: () => slack.posts.map(wordsOf),
    assertNoTokenLeft: () => assert.deepEqual([...hub.tokens.keys()], []),
  }
}
