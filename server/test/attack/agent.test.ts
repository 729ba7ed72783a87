// A whole agent against all of it at once: a real sandbox, the real proxy, a secret that is really used.
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret, systemClock } from '../../src/core/index.ts'
import { createRedaction } from '../../src/proxy/index.ts'
import { createBubblewrapDriver } from '../../src/sandbox/index.ts'
import { apiHost, openProxy, openUpstream } from '../support/egress.ts'
import { leaksInBytes } from '../support/leaky-project.ts'
import { temporaryFolder, testId, testLimits } from '../support/sandbox/attacker.ts'
import { carelessApi, otherHost, spellings } from './careless-api.ts'

test('LEND-2, SAND-2: an agent that is told to get a lent secret out finds no way, of fifty and more', async (t) => {
  const stateDir = await temporaryFolder(t)
  const nodePath = process.execPath
  const driver = createBubblewrapDriver({ clock: systemClock, random: Math.random, stateDir, nodePath })
  const state = await driver.prepare()
  if (!state.ready) return t.skip(`this machine gives no namespaces: ${state.reasons.join(' ')}`)
  let taken = ''
  const careless = carelessApi()
  const api = await openUpstream(t, careless.answer)
  const other = await openUpstream(
    t,
    (request, response) => {
      taken += `${request.url}\n${request.rawHeaders.join('\n')}\n`
      request.on('data', (chunk) => {
        taken += chunk
      })
      response.end('taken')
    },
    otherHost,
  )
  const { channel, lend, gate } = await openProxy(t)
  const lease = lend()
  const egress = await channel({ host: apiHost, port: 443, ...api }, { host: otherHost, port: 443, ...other })
  const workspaceOut = join(await temporaryFolder(t), 'out')
  const workspace = join(stateDir, 'workspace')
  await mkdir(workspace)
  await copyFile(new URL('./agent.mjs', import.meta.url), join(workspace, 'agent.mjs'))
  const redaction = createRedaction([new Secret(lease.value)])
  let shown = ''
  const result = await driver.run(
    {
      id: testId(),
      command: ['node', 'agent.mjs'],
      workspace,
      env: { KEY: lease.placeholder, API: apiHost, OTHER: otherHost, UNLISTED: 'evil.example.test' },
      limits: { ...testLimits, memoryBytes: 1024 ** 3 },
      egress,
      workspaceOut,
    },
    {
      newFilter: redaction.newRedactor,
      onOutput: (_, chunk) => {
        shown += chunk
      },
    },
  )
  assert.equal(result.exitCode, 0, result.stderrTail)
  const [, tried] = /tried (\d+) ways/.exec(shown) ?? []
  assert.ok(Number(tried) >= 50, shown.slice(-500))
  assert.ok(
    careless.values().filter((value) => value === lease.value).length > 20,
    'the destination itself got the value',
  )
  const wanted = spellings(lease.value)
  assert.deepEqual(leaksInBytes(taken, wanted), [])
  assert.deepEqual(gate.lookups, [], 'nothing was looked up')
  const loot = (await readdir(workspaceOut)).filter((name) => name.startsWith('loot-'))
  assert.equal(loot.length, Number(tried))
  const leaked: string[] = []
  for (const name of loot) {
    const text = await readFile(join(workspaceOut, name), 'latin1')
    if (leaksInBytes(text, wanted).length > 0) leaked.push(text.split('\n')[0] ?? name)
  }
  assert.deepEqual(leaked, [])
  assert.deepEqual(leaksInBytes(shown, wanted), [])
})
