import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openConnectorWorld, secretPath } from '../../../test/support/connector-world.ts'
import { openGitHubServer } from '../../../test/support/github-server.ts'
import { github } from './github.ts'

async function open(t: TestContext, files: Record<string, string>) {
  const server = await openGitHubServer(t)
  server.branches.set('feature', server.branches.get('main') ?? '')
  const sha = server.commit('feature', 'sell more', files)
  const world = await openConnectorWorld(t, [github])
  world.secrets.set(secretPath, { private_key: server.privateKeyPem })
  await world.connect({ connector: 'github', settings: server.settings })
  const { repository } = server
  return {
    server,
    world,
    sha,
    checkout: () => world.execute('github.checkout', { connection: 'main', repository, sha }),
    kept: () => [...world.artifacts.values()],
  }
}

test('WORK-3: a checkout has the files of exactly this commit, programs as programs, and no links', async (t) => {
  const files = { 'src/deep/shop.ts': 'export {}', 'run.sh': 'true', 'latest.link': 'src' }
  const { server, checkout, kept, sha } = await open(t, files)
  server.commit('feature', 'later', { 'src/deep/shop.ts': 'later' })
  const output = Object(await checkout())
  assert.deepEqual([output.sha, output.files, output.leftOut], [sha, 3, 1])
  assert.deepEqual(kept(), [
    {
      'README.md': 'A shop',
      'src/': '',
      'src/deep/': '',
      'src/deep/shop.ts': 'export {}',
      'run.sh': 'x true',
    },
  ])
})

test('WORK-3: what the archive leaves out or changes is fetched as the commit has it', async (t) => {
  const { server, checkout, kept } = await open(t, { 'tests/a.ts': 'assert', 'version.ts': '$Format$' })
  server.archived.set('tests/a.ts', undefined)
  server.archived.set('version.ts', 'and longer than it is in the commit')
  server.archived.set('README.md', 'A sHop')
  server.archived.set('planted.ts', 'nobody committed this')
  await checkout()
  assert.deepEqual(kept(), [
    { 'README.md': 'A shop', 'tests/': '', 'tests/a.ts': 'assert', 'version.ts': '$Format$' },
  ])
})

test('WORK-3: the token of a checkout reads contents alone, ends with it, and goes to no archive', async (t) => {
  const { server, world, checkout } = await open(t, {})
  const output = JSON.stringify(await checkout())
  const asked = server.asked.filter(({ path }) => path.endsWith('/access_tokens')).map(({ body }) => body)
  assert.deepEqual(asked, [{ repositories: ['shop'], permissions: { contents: 'read' } }])
  assert.deepEqual([server.given.length, server.tokens.size, world.sealed.size], [1, 0, 0])
  const everything = output + JSON.stringify([...world.artifacts.values()])
  for (const token of server.given) assert.ok(!everything.includes(token))
})

test('WORK-3: a checkout that fails in the middle ends its token and leaves nothing', async (t) => {
  const { server, world, checkout, kept } = await open(t, {})
  const tarball = /GET .*\/tarball\//
  const elsewhere = (location: string) => ({ status: 302, headers: { location } })
  const failures: [RegExp, Parameters<typeof server.fault>[1], string][] = [
    [tarball, elsewhere('https://elsewhere.test/a'), 'connector.refused'],
    [tarball, elsewhere(`${server.url.replace('127.0.0.1', 'localhost')}/archives/a`), 'connector.refused'],
    [tarball, { status: 200, body: {} }, 'connector.refused'],
    [/GET \/archives\//, { status: 404 }, 'connector.unavailable'],
    [/GET \/archives\//, { status: 200, body: 'no archive' }, 'connector.unavailable'],
    [/GET \/archives\//, 'hang up before', 'connector.unavailable'],
  ]
  for (const [matching, fault, code] of failures) {
    server.fault(matching, fault)
    await assert.rejects(checkout(), { code }, JSON.stringify(fault))
  }
  assert.deepEqual([kept(), server.tokens.size, world.sealed.size], [[], 0, 0])
  assert.equal(server.given.length, failures.length)
})

test('WORK-3: a commit with a name that would leave its folder, or with too much in it, is refused', async (t) => {
  const { server, checkout, kept } = await open(t, {})
  const entry = { path: 'a', mode: '100644', type: 'blob', sha: '0'.repeat(40), size: 1 }
  const refusals: [object, boolean, RegExp][] = [
    [{ ...entry, path: '../a' }, false, /is no name/],
    [{ ...entry, path: 'a\u0007' }, false, /is no name/],
    [{ ...entry, size: 2 ** 27 }, false, /more than 67108864 bytes/],
    [entry, true, /more than 50000 files/],
  ]
  for (const [one, truncated, detail] of refusals) {
    server.fault(/GET .*\/git\/trees\//, { status: 200, body: { sha: '', truncated, tree: [one] } })
    await assert.rejects(checkout(), { code: 'connector.refused', detail })
  }
  assert.deepEqual(kept(), [])
})

test('WORK-3: a blob that is not what the commit names is not taken for it', async (t) => {
  const { server, checkout, kept } = await open(t, { 'tests/a.ts': 'assert' })
  server.archived.set('tests/a.ts', undefined)
  const content = Buffer.from('true').toString('base64')
  server.fault(/GET .*\/git\/blobs\//, { status: 200, body: { content, encoding: 'base64' } })
  await assert.rejects(checkout(), { code: 'connector.unavailable', detail: /another content/ })
  assert.deepEqual(kept(), [])
})
