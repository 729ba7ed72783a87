// The launcher around the program, as a service manager sees it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { cleanUp } from './support/clean-up.ts'
import { eventually } from './support/eventually.ts'
import { compiledBefore, launcher } from './support/keyward-command.ts'

const linuxOnly = { skip: process.platform !== 'linux' && 'the environment of a process is read from /proc' }

/** Starts a server; resolves when it listens, with what the system knows of the very process that was started. */
async function started(t: TestContext, env: Record<string, string> = {}) {
  const data = mkdtempSync(join(tmpdir(), 'keyward-launcher-'))
  const args = ['--no-deprecation', launcher, 'server', '--dev', '--listen=127.0.0.1:0', '--data', data]
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: data, ...compiledBefore, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  cleanUp(t, async () => {
    child.kill()
    await ended
    rmSync(data, { recursive: true, force: true })
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await eventually(async () => said.includes('listens on'), 'the server to listen')
  const list = (name: string) => readFileSync(`/proc/${child.pid}/${name}`, 'utf8').split('\0')
  return {
    said,
    arguments: list('cmdline'),
    heaps: list('environ').filter((one) => one.startsWith('MALLOC')),
  }
}

test(
  'OPS-1: a server begins anew with few heaps, as the same process with the same arguments',
  linuxOnly,
  async (t) => {
    const server = await started(t)
    assert.match(server.said, /listens on/)
    assert.deepEqual(server.heaps, ['MALLOC_ARENA_MAX=2'])
    assert.equal(server.arguments[1], '--no-deprecation')
    assert.ok(server.arguments.includes('--listen=127.0.0.1:0'))
  },
)

test('OPS-1: what the operator has chosen for the heaps stays', linuxOnly, async (t) => {
  const { heaps } = await started(t, { MALLOC_ARENA_MAX: '5' })
  assert.deepEqual(heaps, ['MALLOC_ARENA_MAX=5'])
})
