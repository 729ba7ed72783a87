// Bundles server/src for the published package: one file for what a process starts with, others for what comes with the first need.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type OutputChunk, type Plugin, rolldown } from 'rolldown'

const server = fileURLToPath(new URL('.', import.meta.url))
const source = join(server, 'src')

/** Found by their paths: what a process or a thread starts with, or is told to load. */
const entries = [
  'bin',
  'audit/taking-job',
  'scan/threads/worker',
  'store/sqlite-worker',
  'workflow/temporal/failure-converter',
]
/** Bundled by themselves: their process may read no other folder. */
const proxyEntries = ['proxy/child', 'proxy/front-child']

/** Writes the server to a folder, its source maps, and the licences of the packages that are in it. */
export async function bundleServer(dist: string): Promise<void> {
  const chunks = await bundle(dist, entries, 'chunks')
  const inProxy = await bundle(dist, proxyEntries, 'proxy/chunks')
  const foreign = packagesIn(inProxy)
  if (foreign.length > 0) throw new Error(`the proxy takes no package besides Node: ${foreign.join(', ')}`)
  writeFileSync(
    join(dist, 'licenses.md'),
    ['# Packages in this bundle\n', ...packagesIn(chunks).map(licenceOf)].join('\n'),
  )
}

/** Writes a program that uses the server's modules, such as a benchmark's, as the package runs them; gives the path of what to run. */
export async function bundleProgram(program: string, dist: string): Promise<string> {
  await bundle(dist, entries, 'chunks', { program })
  return join(dist, 'program.js')
}

/** Packages that npm installs with this one stay outside; all others are bundled. */
function installedBeside(): (id: string) => boolean {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(server, 'package.json'), 'utf8'))
  const names = Object.keys({ ...dependencies, ...peerDependencies })
  return (id) => id.startsWith('node:') || names.some((name) => id === name || id.startsWith(`${name}/`))
}

async function bundle(
  dist: string,
  names: readonly string[],
  chunkFolder: string,
  others: Readonly<Record<string, string>> = {},
): Promise<OutputChunk[]> {
  await using build = await rolldown({
    input: { ...Object.fromEntries(names.map((name) => [name, join(source, `${name}.ts`)])), ...others },
    platform: 'node',
    external: installedBeside(),
    plugins: [addressesOfSources()],
    onLog(level, { message }) {
      if (level === 'warn') throw new Error(message)
    },
  })
  const { output } = await build.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: `${chunkFolder}/[name].js`,
    // V8 keeps the text of all that is loaded; with a single character beyond Latin 1 it takes two bytes for each.
    charset: 'ascii',
    comments: false,
    sourcemap: true,
    sourcemapExcludeSources: true,
  })
  return output.filter((file) => file.type === 'chunk')
}

/**
 * In a bundle, `import.meta.url` is still where the source file would lie, were it compiled by itself: beside it lie the files that it reads, and
 * the entries that it starts.
 */
function addressesOfSources(): Plugin {
  const mark = 'keyward-dist:'
  return {
    name: 'addresses-of-sources',
    transform: {
      filter: { id: /\.ts$/, code: 'import.meta.url' },
      handler(code, id) {
        const compiled = relative(source, id).split(sep).join('/').replace(/\.ts$/, '.js')
        const address = `new URL('${mark}${compiled}', import.meta.url).href`
        // No line moves, so the source maps stay as they are.
        return { code: code.replaceAll('import.meta.url', address), map: null }
      },
    },
    renderChunk(code, { fileName }) {
      const top = '../'.repeat(fileName.split('/').length - 1) || './'
      return { code: code.replaceAll(mark, top), map: null }
    },
  }
}

/** Folders of the packages of which something is in the chunks, by their names. */
function packagesIn(chunks: readonly OutputChunk[]): string[] {
  const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules))
  const folders = modules.flatMap((file) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

function licenceOf(folder: string): string {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = globSync('{LICENSE,LICENCE,License,license}*', { cwd: folder }).sort()[0]
  if (!file && !license) throw new Error(`${name} has no licence`)
  const text = file ? readFileSync(join(folder, file), 'utf8') : `${license}, ${author?.name ?? author ?? ''}`
  return `## ${name} ${version}: ${license}\n\n${text.trim()}\n`
}
