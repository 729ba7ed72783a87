// Makes dist/, what the published package runs: Node strips no types below node_modules. npm runs it before `npm pack`.
//   dist/            server/src compiled, file by file, with the files beside the code that are no TypeScript
//   dist/contract/   @keyward/contract compiled; it is not published itself
//   dist/workflow/temporal/workflow-bundle.cjs   the workflow of Temporal with all that it imports
//   dist/console/    the built console
//   dist/examples/   what the guided first run works on
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflow } from './src/workflow/temporal/bundle.ts'

const server = fileURLToPath(new URL('.', import.meta.url))
const repository = join(server, '..')
const contract = '@keyward/contract'
/** npm puts these into every package, when they lie beside its package.json. */
const lent = ['README.md', 'LICENSE', 'NOTICE']

if (process.argv.includes('--lend')) lend()
else if (process.argv.includes('--take-back')) takeBack()
else await build()

async function build(): Promise<void> {
  // Made aside and renamed, so that nobody runs half of it.
  const work = mkdtempSync(join(server, 'dist.new-'))
  try {
    const dist = join(work, 'server', 'src')
    compile(work)
    renameSync(join(work, 'contract', 'src'), join(dist, 'contract'))
    for (const file of globSync('**/*.js', { cwd: dist })) pointAtContract(dist, file)
    copyBesideCode(dist)
    await bundleWorkflow(join(dist, 'workflow', 'temporal', 'workflow-bundle.cjs'))
    copyConsole(dist)
    cpSync(join(repository, 'examples'), join(dist, 'examples'), { recursive: true })
    rmSync(join(server, 'dist'), { recursive: true, force: true })
    renameSync(dist, join(server, 'dist'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function lend(): void {
  for (const name of lent.filter((name) => existsSync(join(repository, name))))
    copyFileSync(join(repository, name), join(server, name))
}

function takeBack(): void {
  for (const name of lent) rmSync(join(server, name), { force: true })
}

function compile(outDir: string): void {
  const compiler = join(repository, 'node_modules', 'typescript', 'bin', 'tsc')
  const project = join(server, 'tsconfig.build.json')
  execFileSync(process.execPath, [compiler, '--project', project, '--outDir', outDir], { stdio: 'inherit' })
}

/** The contract is a package of its own in the repository, and a folder of this one when published. */
function pointAtContract(dist: string, file: string): void {
  const path = join(dist, file)
  const code = readFileSync(path, 'utf8')
  const target = (module: string): string => {
    const path = posix.relative(posix.dirname(file), `contract/${module}.js`)
    return `'${path.startsWith('.') ? path : `./${path}`}'`
  }
  const pointed = code
    .replaceAll(`'${contract}'`, target('index'))
    .replaceAll(`'${contract}/errors'`, target('errors'))
  if (pointed !== code) writeFileSync(path, pointed)
}

/** Policies, the sandbox's guest, the first file of the proxy's process: whatever is used as it lies there. */
function copyBesideCode(dist: string): void {
  const source = join(server, 'src')
  for (const file of globSync('**/*.{mjs,json,cedar,cedarschema}', { cwd: source }))
    cpSync(join(source, file), join(dist, file))
}

function copyConsole(dist: string): void {
  execFileSync(process.execPath, [join(repository, 'console', 'prepare.mjs')], { stdio: 'inherit' })
  const built = join(repository, 'console', 'dist')
  cpSync(built, join(dist, 'console'), {
    recursive: true,
    filter: (file) => !relative(built, file).startsWith('.'),
  })
}
