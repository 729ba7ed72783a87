// A program of the benchmarks as an installed package would run it: compiled, because Node's compiler for types stays in memory.
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'

const repository = join(import.meta.dirname, '..', '..', '..')
const contract = '@keyward/contract'

/** Compiles the program and all that it imports into `folder`, and gives the path of what to run; undefined when that failed. */
export function compiled(program: string, folder: string): string | undefined {
  const out = mkdtempSync(join(folder, 'compiled-'))
  const settings = join(out, 'tsconfig.json')
  const compilerOptions = {
    noEmit: false,
    noCheck: true,
    rewriteRelativeImportExtensions: true,
    rootDir: repository,
    outDir: out,
    types: ['node'],
    typeRoots: [join(repository, 'node_modules', '@types')],
  }
  const project = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions,
    include: [join(repository, 'contract', 'src')],
    files: [program],
  }
  writeFileSync(settings, JSON.stringify(project))
  const compiler = join(repository, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [compiler, '--project', settings], {
    stdio: ['ignore', 2, 'inherit'],
  })
  if (status !== 0) return undefined
  for (const file of globSync('**/*.js', { cwd: out })) pointAtContract(out, file)
  symlinkSync(join(repository, 'node_modules'), join(out, 'node_modules'))
  writeFileSync(join(out, 'package.json'), JSON.stringify({ type: 'module' }))
  return join(out, relative(repository, program).replace(/\.ts$/, '.js'))
}

/** The package of that name in node_modules is source. */
function pointAtContract(out: string, file: string): void {
  const path = join(out, file)
  const code = readFileSync(path, 'utf8')
  const module = (name: string): string => {
    const to = posix.relative(posix.dirname(file), `contract/src/${name}.js`)
    return `'${to.startsWith('.') ? to : `./${to}`}'`
  }
  writeFileSync(
    path,
    code.replaceAll(`'${contract}'`, module('index')).replaceAll(`'${contract}/errors'`, module('errors')),
  )
}
