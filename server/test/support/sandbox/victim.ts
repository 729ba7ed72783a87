// A server that is about to be killed: it starts one long sandbox and says so.
import { systemClock } from '../../../src/core/index.ts'
import { createBubblewrapDriver } from '../../../src/sandbox/index.ts'
import { testId, testLimits } from './attacker.ts'

const [stateDir = '', mark = ''] = process.argv.slice(2)
const driver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir,
  nodePath: process.execPath,
})
await driver.prepare()
await driver.run(
  {
    id: testId(),
    command: ['/bin/sh', '-c', `setsid sleep ${mark} & echo on; sleep ${mark}`],
    env: {},
    limits: testLimits,
  },
  { onOutput: () => void process.stdout.write('on\n') },
)
