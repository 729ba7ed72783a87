// Makes dist/, what the published package runs: Node strips no types below node_modules. npm runs it before `npm pack`.
//   dist/            server/src bundled, with the files beside the code that are no TypeScript
//   dist/licenses.md   those of the packages that are in the bundle
//   dist/workflow/temporal/workflow-bundle.cjs   the workflow of Temporal with all that it imports
//   dist/console/    the built console
//   dist/examples/   what the guided first run works on
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, globSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleServer } from './bundle.ts'
import { bundleWorkflow } from './src/workflow/temporal/bundle.ts'

const server = fileURLToPath(new URL('.', import.meta.url))
const repository = join(server, '..')
/** npm puts these into every package, when they lie beside its package.json. */
const lent = ['README.md', 'LICENSE', 'NOTICE']

if (process.argv.includes('--lend')) lend()
else if (process.argv.includes('--take-back')) takeBack()
else await build()

async function build(): Promise<void> {
  // Made aside and renamed, so that nobody runs half of it.
  const work = mkdtempSync(join(server, 'dist.new-'))
  try {
    await bundleServer(work)
    copyBesideCode(work)
    await bundleWorkflow(join(work, 'workflow', 'temporal', 'workflow-bundle.cjs'))
    copyConsole(work)
    cpSync(join(repository, 'examples'), join(work, 'examples'), { recursive: true })
    rmSync(join(server, 'dist'), { recursive: true, force: true })
    renameSync(work, join(server, 'dist'))
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
