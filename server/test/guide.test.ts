// CLI-1: the guided first run as a newcomer has it: on a terminal, with questions, and a second terminal to answer from.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { compiledBefore, launcher, type Outcome, terminalMissing } from './support/keyward-command.ts'
import { leaksInBytes, makeLeakyProject, snapshot } from './support/leaky-project.ts'
import { keywardCommand, scratchFolder } from './support/server.ts'
import { openTerminal, type TerminalSession } from './support/terminal-session.ts'

const enter = '\r'
const interrupt = '\u0003'

type FirstRun = {
  readonly dataDir: string
  readonly first: TerminalSession
  /** A command in a second terminal, of the same user. */
  second(...args: string[]): Promise<Outcome>
}

function begin(t: TestContext, ...more: string[]): FirstRun {
  const dataDir = join(scratchFolder(t), 'data')
  const home = scratchFolder(t, 'home')
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, TERM: 'xterm-256color', ...compiledBefore }
  const args = ['start', '--data', dataDir, '--listen', '127.0.0.1:0', ...more]
  const first = openTerminal(t, [process.execPath, launcher, ...args], { cwd: home, env })
  return { dataDir, first, second: (...words) => keywardCommand(home, words) }
}

/** Answers the first question with yes and signs the second terminal in, exactly as the guide says. */
async function untilApproval({ first, dataDir, second }: FirstRun): Promise<{ id: string; address: string }> {
  await first.waitFor(/Begin the guided first run on/)
  first.type(enter)
  const [, id = '', address = ''] = await first.waitFor(/npx keyward approve (apr_\w+) --address (\S+)/)
  const login = await second('login', '--local', '--data', dataDir, '--address', address)
  assert.equal(login.code, 0, login.stderr)
  return { id, address }
}

test('CLI-1: a newcomer says yes, approves from a second terminal and reads the report', {
  skip: terminalMissing,
}, async (t) => {
  const project = await makeLeakyProject(scratchFolder(t, 'project'))
  const before = snapshot(project.folder)
  const run = begin(t, '--project', project.folder)
  const { id, address } = await untilApproval(run)
  const shown = run.first.shown()
  assert.match(shown, /signs you in as the owner, once/)
  assert.match(shown, /^FOUND +VALUE, MASKED +WHERE$/m)
  assert.match(shown, /^Stripe secret key +sk_l\*{4}\S{4} +\.env:\d+$/m)
  assert.match(shown, /- PAYMENTS_API_KEY=sk_l\*{4}\S+\n +\+ PAYMENTS_API_KEY="keyward:\/\/secret\//)
  assert.ok(shown.includes(`${address}/approvals/${id}#code=`), 'the link leads to the approval')
  assert.deepEqual(snapshot(project.folder), before, 'nothing is changed before the answer')

  const approved = await run.second('approve', id, '--yes', '--address', address)
  assert.equal(approved.code, 0, approved.stderr)
  await run.first.waitFor(/Ctrl-C stops Keyward/)
  const report = run.first.shown()
  assert.match(report, /Run run_\w+, approved\n/)
  for (const step of ['scan', 'preview', 'import', 'audit'])
    assert.match(report, new RegExp(`^  ok +${step} `, 'm'))
  assert.match(report, /^To put the files back: npx keyward findings undo run_\w+$/m)
  assert.deepEqual(leaksInBytes(report, project.planted), [], 'no value was shown')
  assert.notDeepEqual(snapshot(project.folder), before)

  run.first.type(interrupt)
  assert.ok([0, 130].includes(await run.first.ended))
  assert.equal((await run.second('audit', 'list', '--address', address)).code, 2, 'the server is gone')
  const again = await run.second('start', '--yes', '--json', '--data', run.dataDir, '--listen', '127.0.0.1:0')
  assert.notEqual(again.stdout, '', `the data folder is free again: ${again.stderr}`)
})

test('APPR-2: denied, the report says that nothing was changed, and by whose reason', {
  skip: terminalMissing,
}, async (t) => {
  const project = await makeLeakyProject(scratchFolder(t, 'project'))
  const before = snapshot(project.folder)
  const run = begin(t, '--project', project.folder)
  const { id, address } = await untilApproval(run)
  const denied = await run.second(
    'deny',
    id,
    '--reason',
    'Not during the sale',
    '--yes',
    '--address',
    address,
  )
  assert.equal(denied.code, 0, denied.stderr)
  await run.first.waitFor(/Ctrl-C stops Keyward/)
  const report = run.first.shown()
  assert.match(report, /Run run_\w+, denied\n/)
  assert.match(report, /^ {2}REFUSED +import +the approval is denied: Not during the sale$/m)
  assert.match(report, /^Nothing was changed/m)
  assert.doesNotMatch(report, /All of it held|To put the files back/)
  assert.deepEqual(snapshot(project.folder), before)
  run.first.type(interrupt)
  assert.ok([0, 130].includes(await run.first.ended))
})

test('WORK-1: Ctrl-C while the run waits cancels it and frees the data folder', {
  skip: terminalMissing,
}, async (t) => {
  const run = begin(t)
  const { id } = await untilApproval(run)
  run.first.type(interrupt)
  await run.first.waitFor(/Interrupted: nothing was changed, and the run is cancelled/)
  assert.equal(await run.first.ended, 130)
  const again = await run.second('start', '--yes', '--json', '--data', run.dataDir, '--listen', '127.0.0.1:0')
  const report = JSON.parse(again.stdout) as { run: { id: string } }
  assert.match(report.run.id, /^run_/, again.stderr)
  assert.doesNotMatch(again.stdout, new RegExp(id))
})

test('CLI-1: Ctrl-C at the first question ends the server in order', { skip: terminalMissing }, async (t) => {
  const { first, dataDir } = begin(t)
  await first.waitFor(/Begin the guided first run on the example project\?/)
  first.type(interrupt)
  assert.ok([0, 130].includes(await first.ended))
  assert.ok(!existsSync(join(dataDir, 'example')), 'nothing was made')
  assert.match(readFileSync(join(dataDir, 'audit.anchor'), 'utf8'), /\d/)
})

test('CLI-1: with no for an answer the server stays, and nothing is scanned', {
  skip: terminalMissing,
}, async (t) => {
  const run = begin(t)
  await run.first.waitFor(/Begin the guided first run/)
  run.first.type('n')
  const [, address = ''] = await run.first.waitFor(/The console stays at (http\S+)\./)
  assert.equal((await fetch(`${address}/healthz`)).status, 200)
  assert.ok(!existsSync(join(run.dataDir, 'example')))
  run.first.type(interrupt)
  assert.ok([0, 130].includes(await run.first.ended))
})
