import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { launcher, openShell, runToEnd } from '../../test/support/keyward-command.ts'

/** A Node on the path that is too old to run Keyward itself. */
function olderNode(): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const node = join(folder, 'node')
    if (!existsSync(node)) continue
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' })
    if (Number(/^v(\d+)/.exec(version)?.[1]) < 24) return node
  }
  return
}

const older = olderNode()
const skip = older === undefined ? 'no Node older than 24 is on the path' : false
const oldNode = older ?? ''

test('OPS-1: on an older Node the launcher uses the bundled one, and hands output and exit codes on', {
  skip,
}, async (t) => {
  const { home } = openShell(t)
  const options = { cwd: home, env: { PATH: process.env['PATH'] ?? '', HOME: home } }
  const run = (...args: string[]) => runToEnd(oldNode, [launcher, ...args], options, 'typed')
  assert.match((await run('--version')).stdout, /^\d+\.\d+\.\d+\n$/)
  assert.equal((await run('no-such-command')).code, 2)
  const seven = await run('run', '--', 'sh', '-c', 'cat; exit 7')
  assert.deepEqual([seven.code, seven.stdout], [7, 'typed'])
})

test('OPS-1: signals go through both to the command', { skip }, async (t) => {
  const { home } = openShell(t)
  const script = `trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done`
  const child = spawn(oldNode, [launcher, 'run', '--', 'sh', '-c', script], {
    cwd: home,
    env: { PATH: process.env['PATH'], HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  let output = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    output += text
    if (output.includes('ready') && !child.killed) child.kill('SIGTERM')
  }
  assert.equal(output, 'ready\ncaught\n')
  assert.equal(await ended, 9)
})

test('OPS-4: the compile cache lies with the user, not where others can write', async (t) => {
  const { keyward, home } = openShell(t, { XDG_CACHE_HOME: '' })
  await keyward(['--version'])
  assert.ok(existsSync(join(home, '.cache', 'keyward', 'compiled')))
})
