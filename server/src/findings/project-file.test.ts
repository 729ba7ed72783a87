import assert from 'node:assert/strict'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/support/world.ts'
import { readProjectFile, replaceProjectFile } from './project-file.ts'

const changed = { code: 'finding.changed' }

/** A project with `config/.env`, and a folder beside it that is nobody's business. */
function setup(t: TestContext): { project: string; outside: string } {
  const base = realpathSync(temporaryFolder(t))
  const project = join(base, 'project')
  const outside = join(base, 'outside')
  mkdirSync(join(project, 'config'), { recursive: true })
  mkdirSync(outside)
  writeFileSync(join(project, 'config', '.env'), 'KEY=old\n', { mode: 0o640 })
  writeFileSync(join(outside, '.env'), 'untouched\n')
  return { project, outside }
}

test('DISC-5: a file is replaced in one step and keeps its mode', async (t) => {
  const { project } = setup(t)
  const file = await readProjectFile(project, 'config/.env')
  await replaceProjectFile(file, Buffer.from('KEY=new\n'))
  assert.equal(readFileSync(join(project, 'config', '.env'), 'utf8'), 'KEY=new\n')
  assert.equal(statSync(join(project, 'config', '.env')).mode & 0o777, 0o640)
  assert.deepEqual(readdirSync(join(project, 'config')), ['.env'])
})

test('DISC-5: a folder that becomes a link between reading and writing leads nowhere', async (t) => {
  const { project, outside } = setup(t)
  const file = await readProjectFile(project, 'config/.env')
  renameSync(join(project, 'config'), join(project, 'moved'))
  symlinkSync(outside, join(project, 'config'))
  await assert.rejects(replaceProjectFile(file, Buffer.from('planted\n')))
  assert.deepEqual(readdirSync(outside), ['.env'])
  assert.equal(readFileSync(join(outside, '.env'), 'utf8'), 'untouched\n')
  await assert.rejects(readProjectFile(project, 'config/.env'), changed)
})

test('DISC-5: a folder above that becomes a link leads nowhere either', async (t) => {
  const { project, outside } = setup(t)
  mkdirSync(join(project, 'a', 'config'), { recursive: true })
  writeFileSync(join(project, 'a', 'config', '.env'), 'KEY=old\n')
  mkdirSync(join(outside, 'config'))
  writeFileSync(join(outside, 'config', '.env'), 'untouched\n')
  const file = await readProjectFile(project, 'a/config/.env')
  renameSync(join(project, 'a'), join(project, 'moved'))
  symlinkSync(outside, join(project, 'a'))
  await assert.rejects(replaceProjectFile(file, Buffer.from('planted\n')), changed)
  assert.equal(readFileSync(join(outside, 'config', '.env'), 'utf8'), 'untouched\n')
})
