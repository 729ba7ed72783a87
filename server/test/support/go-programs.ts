// Builds the Go programs of the tests before the tests, because the first build of Temporal's server takes minutes and a test has
// a time limit. Where there is no Go nothing is built, and the tests that need one of them are skipped by name.
import { findProgram } from '../../src/sandbox/index.ts'
import { goProgram } from './go.ts'
import { terraformHere, tofuProgram } from './terraform.ts'

const programs: (readonly [name: string, program?: string])[] = [
  ['go-client'],
  ['go-fetch'],
  ['terraform-client'],
  ['temporal-server'],
  ...(terraformHere() === undefined ? [tofuProgram] : []),
]

if (findProgram('go') !== undefined)
  for (const [name, program] of programs)
    await goProgram(name, program).catch((error: unknown) => {
      process.stderr.write(`The Go program ${name} could not be built: ${String(error).slice(0, 2000)}\n`)
    })
