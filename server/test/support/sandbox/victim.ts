// A server that is about to be killed: it starts one long sandbox, after one that waits where the driver has such, and says so.
// With `hostile` the command stops its guest, which then does not hear of the server's end.
import { systemClock } from '../../../src/core/index.ts'
import { createSandboxDriver, sandboxSettingsOf } from '../../../src/sandbox/index.ts'
import { testId, testLimits } from './attacker.ts'

const [stateDir = '', mark = '', kind, hostile] = process.argv.slice(2)
const driver = createSandboxDriver({
  ...sandboxSettingsOf({ KEYWARD_SANDBOX: kind, KEYWARD_SANDBOX_POOL: '0' }),
  env: process.env,
  clock: systemClock,
  random: Math.random,
  stateDir,
  nodePath: process.execPath,
  pool: 1,
})
await driver.prepare()
const limits = { ...testLimits, processes: 65 }
const stopGuest = 'cd /proc; for p in [0-9]*; do grep -q "guest[.]mjs" $p/cmdline && kill -STOP $p; done; '
await driver.ahead?.add({ id: testId(), command: ['true'], env: {}, limits })
await driver.run(
  {
    id: testId(),
    command: ['/bin/sh', '-c', `setsid sleep ${mark} & echo on; ${hostile ? stopGuest : ''}sleep ${mark}`],
    env: {},
    limits: testLimits,
  },
  { onOutput: () => void process.stdout.write('on\n') },
)
