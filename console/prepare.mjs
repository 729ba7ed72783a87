// Builds the console when what it is built from has changed. npm runs this at the end of `npm ci`, on whatever Node it has:
// so plain JavaScript, and nothing but Vite, which is loaded only when there is something to build.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const repository = join(folder, '..')
const stamp = join(folder, 'dist', '.built-from')
const sources = [
  'console/src',
  'console/public',
  'console/index.html',
  'console/package.json',
  'console/browser-contract.ts',
  'console/vite.config.ts',
  'contract/src',
  'package-lock.json',
]

/** One hash over names and bytes of everything that the build reads. */
function hashOfSources() {
  const hash = createHash('sha256')
  for (const file of sources.flatMap((name) => filesIn(join(repository, name)))) {
    hash
      .update(`${relative(repository, file).split(sep).join('/')}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  return hash.digest('hex')
}

function filesIn(path) {
  if (!existsSync(path)) return []
  try {
    return readdirSync(path)
      .sort()
      .flatMap((name) => filesIn(join(path, name)))
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path]
    throw error
  }
}

function builtFrom() {
  return existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined
}

/** Where Vite is, or undefined when the development dependencies were left out. */
function findVite() {
  try {
    return pathToFileURL(createRequire(join(folder, 'package.json')).resolve('vite')).href
  } catch {
    return undefined
  }
}

async function prepare() {
  const wanted = hashOfSources()
  if (builtFrom() === wanted) return
  const vite = findVite()
  if (!vite) {
    process.stdout.write('console: not built, because the development dependencies are not installed\n')
    return
  }
  const { build } = await import(vite)
  await build({ root: folder, configFile: join(folder, 'vite.config.ts'), logLevel: 'silent' })
  writeFileSync(stamp, wanted)
  process.stdout.write('console: built\n')
}

/** For tests: says whether the built console is the one of these sources, and builds nothing. */
function check() {
  if (builtFrom() === hashOfSources()) return
  throw new Error('console/dist is older than its sources; run: npm run prepare')
}

try {
  if (process.argv.includes('--check')) check()
  else await prepare()
} catch (error) {
  process.stderr.write(`console: not ready: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
