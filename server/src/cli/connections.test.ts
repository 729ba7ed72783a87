// Connected services at the command line.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, type ConnectionView, type ConnectorView } from '@keyward/contract'
import { openContractServer } from '../../test/support/contract-server.ts'
import { openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'

const at = '2026-01-02T03:04:05.000Z'
const connection: ConnectionView = {
  id: 'con_1',
  name: 'code',
  connector: 'github',
  settings: { appId: '12', repositories: ['team/shop'] },
  secretPath: 'secret/github/app',
  environment: 'production',
  createdBy: 'person:olga',
  createdAt: at,
  health: { state: 'up', detail: 'the app answers', latencyMs: 41, checkedAt: at },
}
const down: ConnectionView = {
  ...connection,
  health: { state: 'down', detail: 'it has no key', latencyMs: 1, checkedAt: at },
}
const connector: ConnectorView = {
  name: 'github',
  title: 'GitHub',
  docs: 'https://docs.github.com/en/rest',
  settings: { type: 'object', properties: { appId: {}, apiUrl: {} }, required: ['appId'] },
  secretFields: [{ name: 'private_key', title: 'Private key', optional: false }],
  actions: [
    {
      name: 'github.merge-pull-request',
      title: 'Merge a pull request',
      risk: 'high',
      reversible: false,
      idempotent: false,
      effect: 'write',
      previews: true,
      reconciles: true,
      permissions: ['contents:write'],
      secretFields: ['private_key'],
      input: {},
      output: {},
    },
  ],
}

test('CONN-1: a service is connected, checked, changed and forgotten at the command line', async (t) => {
  const server = await openContractServer(t)
  let checked = connection
  server.answer(api.connections.create, () => ({ ...connection, health: null }))
  server.answer(api.connections.check, () => checked)
  server.answer(api.connections.list, () => ({ items: [connection] }))
  server.answer(api.connections.change, () => connection)
  server.answer(api.connections.remove, () => ({ removed: true }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const inputs = (name: string) => server.calls.filter((call) => call.name === name).map((call) => call.input)

  const given = ['--connector', 'github', '--secret', 'secret/github/app', '--set', 'appId=12']
  const more = ['--set', 'repositories=["team/shop"]', '--environment', 'production']
  const added = await keyward(['connections', 'add', 'code', ...given, ...more])
  assert.equal(added.code, 0, added.stderr)
  assert.match(added.stdout, /Environment +production/)
  assert.match(added.stdout, /State +up after 41 ms: the app answers/)
  assert.deepEqual(inputs('connections.create'), [
    {
      name: 'code',
      connector: 'github',
      settings: { appId: '12', repositories: ['team/shop'] },
      secretPath: 'secret/github/app',
      environment: 'production',
    },
  ])

  const listed = await keyward(['connections', 'list'])
  assert.match(listed.stdout, /code +github +production +up +41 ms/)
  checked = down
  const asked = await keyward(['connections', 'check', 'code'])
  assert.equal(asked.code, 1)
  assert.match(asked.stdout, /down after 1 ms: it has no key/)
  await keyward(['connections', 'change', 'code', '--set', 'appId=13'])
  assert.deepEqual(inputs('connections.change'), [
    { connectionId: 'con_1', settings: { appId: '13', repositories: ['team/shop'] } },
  ])
  for (const environment of ['staging', ''])
    await keyward(['connections', 'change', 'code', '--environment', environment])
  assert.deepEqual(inputs('connections.change').slice(1), [
    { connectionId: 'con_1', environment: 'staging' },
    { connectionId: 'con_1', environment: null },
  ])
  assert.equal((await keyward(['connections', 'remove', 'con_1'])).code, 0)
  assert.deepEqual(inputs('connections.remove'), [{ connectionId: 'con_1' }])
})

test('CONN-1: what cannot be meant is refused before anything is sent', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.connections.list, () => ({ items: [] }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  assert.match((await keyward(['connections', 'list'])).stderr, /None/)
  assert.match((await keyward(['connections', 'check', 'code'])).stderr, /no connection 'code'/)
  assert.match((await keyward(['connections', 'change', 'code'])).stderr, /nothing is to be changed/)
  const bad = async (set: string) =>
    (await keyward(['connections', 'add', 'code', '--connector', 'github', '--set', set])).stderr
  assert.match(await bad('appId'), /name=value/)
  assert.match(await bad('list=[1'), /JSON/)
})

test('CONN-1: kinds of services are listed, and shown with what runs can do there', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.connectors.list, () => ({ items: [connector] }))
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  assert.match((await keyward(['connectors', 'list'])).stdout, /github +GitHub +1 +private_key/)
  const shown = await keyward(['connectors', 'show', 'github'])
  assert.match(shown.stdout, /Settings +appId, apiUrl \(if wanted\)/)
  assert.match(shown.stdout, /github\.merge-pull-request +high +no +it is found out/)
  assert.match((await keyward(['connectors', 'show', 'gitlab'])).stderr, /no connector 'gitlab'/)
})
