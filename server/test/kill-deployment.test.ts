import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog, systemClock } from '../src/core/index.ts'
import { createSandbox, createSandboxDriver } from '../src/sandbox/index.ts'
import { openDeploymentServices, openPulumiStack } from './support/deployment.ts'
import { mayBeMissing } from './support/needed.ts'
import { temporaryFolder } from './support/world.ts'

const program = join(import.meta.dirname, 'support', 'killed-deployment.ts')

function runChild(
  settings: string,
  killAt: string,
): Promise<{ line: string; killed: boolean; problem: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, settings, killAt], (error, stdout, stderr) => {
      const killed = error?.signal === 'SIGKILL'
      resolve({ line: stdout, killed, problem: error && !killed ? stderr : '' })
    })
  })
}

/** What sandboxes hold here. Each process would need as long for it as it has to find out what the one before did. */
function probeHere(dataDir: string) {
  const driver = createSandboxDriver({
    kind: 'auto',
    env: process.env,
    clock: systemClock,
    random: Math.random,
    stateDir: join(dataDir, 'sandbox'),
    nodePath: process.execPath,
  })
  return createSandbox({ driver, clock: systemClock, log: silentLog, dataDir }).probe()
}

/**
 * What each step has done is done, and nobody has written it down; before `up`, nothing is done yet. What of a
 * stack or a conversation nobody can know, a person says.
 */
const places = [
  'fetch:executed',
  'checkout:executed',
  // Side by side: one of them has ended, the other is somewhere.
  'tests:executed or lint:executed',
  'preview:executed',
  'approve:asked',
  'merge:executed',
  'up:started',
  'up:executed',
  'monitor:executed',
  'notify:executed',
]

test('WORK-2, WORK-3: a deployment that is killed in the middle of each of its steps merges, makes and asks once', async (t) => {
  const sandboxFound = await probeHere(temporaryFolder(t))
  if (sandboxFound.level === 'none')
    return t.skip(mayBeMissing(`no sandbox here: ${sandboxFound.reasons.join(' ')}`))
  const { stack, configure, ...tool } = await openPulumiStack(t)
  const place = await openDeploymentServices(t, tool)
  const { head, pull } = place.open('sell-more')
  configure('stack', 'more')
  const settings = join(temporaryFolder(t), 'settings.json')
  const dataDir = temporaryFolder(t)
  const { connections, preset } = place
  writeFileSync(settings, JSON.stringify({ dataDir, connections, preset, number: pull.number, sandboxFound }))
  for (const killAt of places) {
    const { killed, problem, line } = await runChild(settings, killAt)
    assert.ok(killed, `not killed at ${killAt}: ${problem || line}`)
  }
  const { line, problem } = await runChild(settings, '')
  assert.equal(problem, '')
  const { state, outcome, reason, attempts } = JSON.parse(line)
  assert.deepEqual([state, outcome], ['Succeeded', 'Done'], reason ?? '')
  assert.deepEqual(place.merges(pull.number), [head], 'merged once')
  assert.deepEqual([stack.resources, stack.updates.length], [{ shop: 'more' }, 1], 'made once')
  assert.equal(place.said().length, 1, 'told once')
  assert.ok(attempts.checkout > 1 && attempts.up > 1, JSON.stringify(attempts))
  place.assertNoTokenLeft()
})
