// A program of the benchmarks as an installed package would run it: bundled, because Node's compiler for types stays in memory.
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundleProgram } from '../../../server/bundle.ts'

const repository = join(import.meta.dirname, '..', '..', '..')

/** Bundles the program and all that it imports into a folder below `folder`, and gives the path of what to run. */
export async function compiled(program: string, folder: string): Promise<string> {
  const out = mkdtempSync(join(folder, 'compiled-'))
  symlinkSync(join(repository, 'node_modules'), join(out, 'node_modules'))
  writeFileSync(join(out, 'package.json'), JSON.stringify({ type: 'module' }))
  return bundleProgram(program, out)
}
