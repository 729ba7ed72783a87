import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openShell } from '../../test/support/keyward-command.ts'
import { type Check, checkClock, checkNode } from './checkup.ts'

test('CLI-1: doctor looks at this machine without a server and says what to mend', async (t) => {
  const { keyward, home } = openShell(t, { KEYWARD_ADDRESS: 'http://127.0.0.1:9' })
  const data = join(home, 'data')
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(join(data, 'keyward.db'), '', { mode: 0o600 })
  const checkOf = async (name: string): Promise<{ code: number; check: Check | undefined }> => {
    const { code, stdout } = await keyward(['doctor', '--data', data, '--json'])
    const { checks }: { checks: Check[] } = JSON.parse(stdout)
    return { code, check: checks.find((each) => each.name === name) }
  }
  const server = await checkOf('server')
  assert.deepEqual([server.code, server.check?.state], [0, 'warn'])
  assert.equal((await checkOf('data folder')).check?.state, 'ok')
  chmodSync(data, 0o755)
  chmodSync(join(data, 'keyward.db'), 0o644)
  const open = await checkOf('data folder')
  assert.deepEqual([open.code, open.check?.state], [1, 'fail'])
  assert.match(open.check?.detail ?? '', /others can read .*data, .*keyward\.db$/)
  const plain = await keyward(['doctor', '--data', data])
  assert.match(plain.stdout, /^fail {2}data folder {3}others can read .*\n {20}chmod -R go= '.*data'\.$/m)
})

test('CLI-1: doctor judges versions and clocks', () => {
  assert.equal(checkNode('20.11.0').state, 'fail')
  assert.equal(checkNode('24.0.0').state, 'ok')
  const here = new Date('2026-01-02T03:04:05Z')
  const there = (seconds: number): Date => new Date(here.getTime() - seconds * 1000)
  assert.equal(checkClock(here, undefined).state, 'ok')
  assert.equal(checkClock(here, there(20)).state, 'ok')
  assert.match(checkClock(here, there(90)).detail, /90 seconds ahead/)
  assert.equal(checkClock(here, there(-90)).state, 'warn')
})
