import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { readFile } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { AppError, type FileTree, reasonOf } from '../core/index.ts'
import type { Sandbox, SandboxLimits } from '../sandbox/index.ts'
import { type Bounds, type Written, writeTree } from './tree-writer.ts'

const megabyte = 1024 ** 2

type Archive = { file: FileHandle; sizeBytes: number }

/** Has a sandbox read the archive and writes what it says into `root`. Throws `image.invalid`; what was written by then is no image. */
export async function unpackInto(
  sandbox: Pick<Sandbox, 'run'>,
  id: string,
  { file, sizeBytes }: Archive,
  root: string,
  bounds: Bounds,
): Promise<Written & { archiveDigest: string }> {
  const program = await programFiles()
  const sum = createHash('sha256')
  const words = [
    '/workspace/archive',
    platform(),
    String(bounds.entries),
    String(bounds.bytes),
    String(sizeBytes),
  ]
  const told = new PassThrough()
  const ending = new AbortController()
  const writing = writeTree(told, root, bounds)
  // Awaited below; until then a failure is not an unhandled one. Nobody reads on, so the sandbox is ended.
  writing.catch(() => ending.abort())
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      told.once('drain', resolve)
      ending.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  const result = await sandbox.run(
    {
      id,
      command: ['/opt/keyward/node', '/workspace/main.mjs', ...words],
      env: {},
      files: program,
      workspace: archiveOnly({ file, sizeBytes }, (part) => sum.update(part)),
      limits: limitsFor(sizeBytes, bounds),
    },
    {
      signal: ending.signal,
      onOutput: (stream, chunk) => (stream === 'stderr' || told.write(chunk) ? undefined : drained()),
    },
  )
  told.end()
  const written = await writing.then(
    (value) => ({ value }),
    (error: unknown) => ({ why: reasonOf(error) }),
  )
  const said = result.stderrTail.trim().split('\n').at(-1)
  const met = result.limit ? `unpacking met the ${result.limit} limit` : said
  if (!result.cancelled && result.exitCode !== 0) throw invalid(met || 'it could not be read')
  if ('why' in written) throw invalid(written.why)
  return { ...written.value, archiveDigest: `sha256:${sum.digest('hex')}` }
}

const invalid = (why: string): AppError => new AppError('image.invalid', `${why}. Nothing was added.`)

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }
/** As archives of images name it. */
const platform = (): string => `linux/${architectures[process.arch] ?? process.arch}`

/** The archive lies in the sandbox's memory, because its parts are read in another order than they come. */
const limitsFor = (archiveBytes: number, bounds: Bounds): SandboxLimits => ({
  wallSeconds: 3600,
  cpuSeconds: 3600,
  memoryBytes: 1024 * megabyte,
  processes: 32,
  openFiles: 64,
  fileBytes: archiveBytes + megabyte,
  diskBytes: archiveBytes + 16 * megabyte,
  outputBytes: bounds.bytes + bounds.entries * 1024,
})

const programNames = ['main.mjs', 'layers.mjs', 'tar.mjs', 'tree.mjs']

async function programFiles(): Promise<Record<string, string>> {
  const files = programNames.map(
    async (name) => [name, await readFile(new URL(`./inside/${name}`, import.meta.url), 'utf8')] as const,
  )
  return Object.fromEntries(await Promise.all(files))
}

async function* archiveOnly({ file, sizeBytes }: Archive, onPart: (part: Uint8Array) => void): FileTree {
  yield { kind: 'file', path: 'archive', size: sizeBytes, executable: false, body: partsOf(file, onPart) }
}

async function* partsOf(file: FileHandle, onPart: (part: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const part of file.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 })) {
    onPart(part)
    yield part
  }
}
