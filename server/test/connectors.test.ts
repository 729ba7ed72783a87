// Connected services against the real server: from the command line to the service and back into health, metrics and the log.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api } from '@keyward/contract'
import { openGitHubServer, strangeKeyPem } from './support/github-server.ts'
import { newPaymentsKey } from './support/leaky-project.ts'
import { startServer } from './support/server.ts'

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
