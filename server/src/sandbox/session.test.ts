import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { processesWith, temporaryFolder, testId, testLimits } from '../../test/support/sandbox/attacker.ts'
import { systemClock } from '../core/index.ts'
import { createBubblewrapDriver } from './bubblewrap.ts'
import { modesFor, userIn } from './entry.ts'
import { createRecords } from './records.ts'
import { runSession } from './session.ts'

const nodePath = process.execPath
const parts = { clock: systemClock, random: () => 0.5, nodePath }

test('SAND-2: cancelled before bubblewrap has tied its first process to itself, nobody stays and the run ends', async (t) => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const state = await createBubblewrapDriver({ ...parts, stateDir: folder }).prepare()
  if (!state.ready) return t.skip(`this machine gives no namespaces: ${state.reasons.join(' ')}`)
  const mode = modesFor(process.getuid?.() === 0).find((one) => one === state.mode) ?? 'user'
  const mark = `${7_000_000 + process.pid}`
  // In the place of bubblewrap: a process that starts another one, which holds the streams and does not die with it.
  const bubblewrap = join(folder, 'bubblewrap')
  await writeFile(bubblewrap, `#!/bin/sh\nsleep ${mark} &\necho on\nwait\n`, { mode: 0o755 })
  const records = createRecords(folder)
  await mkdir(records.mountPoint, { recursive: true })
  const cancel = new AbortController()
  const result = await runSession(
    {
      ...parts,
      records,
      cgroups: { version: 2, folders: {} },
      mode,
      user: userIn(mode, 0.5),
      mountPoint: mode === 'root-user-namespace' ? '/mnt' : records.mountPoint,
      bubblewrap,
      seccomp: Buffer.alloc(0),
      guest: Buffer.alloc(0),
      certificates: '',
      brought: () => assert.fail('no image is used here'),
    },
    { id: testId(), command: ['true'], env: {}, limits: testLimits },
    { signal: cancel.signal, onOutput: () => cancel.abort() },
  )
  assert.equal(result.cancelled, true)
  await eventually(async () => (await processesWith(mark)).length === 0, 'the last process to end')
})
