// `npm run bench`: every benchmark, one after the other, on Node 24 as the rest of Keyward.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

for (const name of [
  'start',
  'vault',
  'database',
  'leaked-key',
  'runs',
  'waiting',
  'leases',
  'egress',
  'sandbox',
  'commits',
  'scan',
  'scan-quality',
]) {
  process.stdout.write(`\n${name}\n`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
