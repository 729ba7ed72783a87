import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openDeviceFile } from './device-file.ts'

function folders(t: TestContext): { inside: string; outside: string } {
  const root = mkdtempSync(join(tmpdir(), 'keyward-device-'))
  t.after(() => rmSync(root, { recursive: true }))
  const [inside, outside] = [join(root, 'audit'), join(root, 'elsewhere')]
  for (const folder of [inside, outside]) mkdirSync(folder, { mode: 0o700 })
  return { inside, outside }
}

test('AUDIT-1: a device writes into the folders of the server, with the mode that was asked, and nowhere else', async (t) => {
  const { inside, outside } = folders(t)
  const file = await openDeviceFile(join(inside, 'log'), 0o600, [inside])
  await Promise.all([file.write('one\n'), file.write('two\n'), file.write('three\n')])
  assert.equal(readFileSync(join(inside, 'log'), 'utf8'), 'one\ntwo\nthree\n')
  assert.equal(statSync(join(inside, 'log')).mode & 0o777, 0o600)
  const wrong = [
    join(outside, 'log'),
    `${inside}/../elsewhere/log`,
    `${inside}x/log`,
    'log',
    inside,
    `${inside}/..`,
    `${inside}/none/log`,
  ]
  for (const path of wrong)
    await assert.rejects(openDeviceFile(path, 0o600, [inside]), { code: 'request.invalid' }, path)
})

test('AUDIT-1: a device follows no link out of the folder, not even one that comes later', async (t) => {
  const { inside, outside } = folders(t)
  const target = join(outside, 'authorized_keys')
  writeFileSync(target, 'mine\n')
  symlinkSync(target, join(inside, 'log'))
  symlinkSync(outside, join(inside, 'deeper'))
  await assert.rejects(openDeviceFile(join(inside, 'log'), 0o600, [inside]), { code: 'request.invalid' })
  await assert.rejects(openDeviceFile(join(inside, 'deeper/log'), 0o600, [inside]), {
    code: 'request.invalid',
  })
  const file = await openDeviceFile(join(inside, 'other'), 0o600, [inside])
  await file.write('one\n')
  renameSync(join(inside, 'other'), join(inside, 'rotated'))
  symlinkSync(target, join(inside, 'other'))
  await assert.rejects(file.write('two\n'))
  assert.equal(readFileSync(target, 'utf8'), 'mine\n')
  rmSync(join(inside, 'other'))
  await file.write('three\n')
  assert.equal(readFileSync(join(inside, 'other'), 'utf8'), 'three\n')
})
