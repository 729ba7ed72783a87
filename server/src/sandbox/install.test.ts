import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/support/sandbox/attacker.ts'
import { findProgram, installCommand } from './install.ts'

test('a program is found on the path only when it can be run', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'keyward-test-program')
  await writeFile(file, '#!/bin/sh\n')
  assert.equal(findProgram('keyward-test-program', folder), undefined)
  await chmod(file, 0o755)
  assert.equal(findProgram('keyward-test-program', `/nowhere:${folder}`), file)
})

test('SAND-2: the advice names one line, and a command only where one is known', () => {
  const { command, allowed, line } = installCommand()
  assert.ok(line.length > 0)
  if (command.length === 0) assert.equal(allowed, false)
  else assert.match(command.join(' '), /apt-get update.*install -y .*bubblewrap/)
})
