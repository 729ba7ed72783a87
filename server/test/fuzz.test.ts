// Parsers of what strangers send, with made-up inputs. The seed is fixed, so that a run can be repeated; `npm run fuzz` goes on
// with others. What it has found has a test beside the code.
import { test } from 'node:test'
import fc from 'fast-check'
import { certificateProperties } from './fuzz/certificates.ts'
import { policyProperties } from './fuzz/policies.ts'
import { requestProperties } from './fuzz/requests.ts'
import { valueProperties } from './fuzz/values.ts'

for (const { name, property } of [
  ...policyProperties,
  ...valueProperties,
  ...requestProperties,
  ...certificateProperties,
])
  test(`VAULT-2: ${name}`, () => fc.assert(property, { seed: 20_260_101, numRuns: 200 }))
