// npm run fuzz -- [minutes]: the properties of the parsers with ever new inputs, until the time is over or one of them fails.
import fc from 'fast-check'
import { certificateProperties } from './certificates.ts'
import { policyProperties } from './policies.ts'
import { requestProperties } from './requests.ts'
import { valueProperties } from './values.ts'

const minutes = Number(process.argv[2] ?? 5)
const end = Date.now() + minutes * 60_000
let inputs = 0
while (Date.now() < end) {
  for (const { name, property } of [
    ...policyProperties,
    ...valueProperties,
    ...requestProperties,
    ...certificateProperties,
  ]) {
    const { failed, numRuns, ...details } = await fc.check(property, { numRuns: 500 })
    inputs += numRuns
    if (!failed) continue
    process.stdout.write(`${name}\nseed ${details.seed}, path ${details.counterexamplePath}\n`)
    process.stdout.write(`${fc.stringify(details.counterexample)}\n${String(details.errorInstance)}\n`)
    process.exit(1)
  }
  process.stdout.write(`${inputs} inputs, no failure\n`)
}
