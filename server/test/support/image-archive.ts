// Archives of root file systems and images, as tests want them: also such as no honest program writes.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export type Member = {
  path: string
  /** As in the header: `0` a file, `1` another name, `2` a link, `5` a folder, `3` a device, `x` a pax header. */
  type?: string
  content?: Buffer | string
  target?: string
  mode?: number
}

const blockBytes = 512

export const tar = (members: readonly Member[]): Buffer =>
  Buffer.concat([...members.map(memberBytes), Buffer.alloc(2 * blockBytes)])

function memberBytes({ path, type = '0', content = '', target = '', mode = 0o644 }: Member): Buffer {
  const body = Buffer.from(content)
  const header = Buffer.alloc(blockBytes)
  const octal = (value: number, at: number, length: number) =>
    header.write(value.toString(8).padStart(length - 1, '0'), at)
  header.write(path, 0, 100)
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(body.length, 124, 12)
  octal(0, 136, 12)
  header.write(`        ${type}`, 148)
  header.write(target, 157, 100)
  header.write('ustar\u000000', 257)
  octal(
    header.reduce((total, byte) => total + byte, 0),
    148,
    8,
  )
  return Buffer.concat([header, body, Buffer.alloc((blockBytes - (body.length % blockBytes)) % blockBytes)])
}

export const folder = (path: string): Member => ({ path, type: '5', mode: 0o755 })
export const link = (path: string, target: string): Member => ({ path, type: '2', target })

/** A name that does not fit a header. */
export function longNamed(path: string, content: string): Member[] {
  const record = (length: number): string => `${length} path=${path}\n`
  const bare = Buffer.byteLength(record(0)) - 1
  const length = [bare + 2, bare + 3].find((guess) => Buffer.byteLength(record(guess)) === guess) ?? 0
  return [
    { path: 'PaxHeaders/name', type: 'x', content: record(length) },
    { path: 'short', content },
  ]
}

export const digestOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

type Layer = { bytes: Buffer; packed?: Buffer }

const configOf = (layers: readonly Layer[], environment: readonly string[]): string =>
  JSON.stringify({
    os: 'linux',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    config: { Env: environment },
    rootfs: { type: 'layers', diff_ids: layers.map(({ bytes }) => digestOf(bytes)) },
  })

/** What `docker save` wrote before it wrote an OCI layout, too. */
export function dockerArchive(layers: readonly Layer[], environment: readonly string[] = []): Buffer {
  const names = layers.map((_, at) => `layer-${at}/layer.tar`)
  return tar([
    ...layers.map(({ bytes, packed }, at) => ({ path: names[at] ?? '', content: packed ?? bytes })),
    { path: 'config.json', content: configOf(layers, environment) },
    {
      path: 'manifest.json',
      content: JSON.stringify([{ Config: 'config.json', RepoTags: ['a:b'], Layers: names }]),
    },
  ])
}

/** An OCI layout. `spoil` changes a blob after its digest was taken. */
export function ociArchive(layers: readonly Layer[], spoil?: (layer: Buffer) => Buffer): Buffer {
  const config = configOf(layers, ['FROM_IMAGE=yes'])
  const contents = layers.map(({ bytes, packed }) => packed ?? bytes)
  const described = (content: Buffer | string) => ({
    digest: digestOf(content),
    size: Buffer.byteLength(content),
  })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: described(config),
    layers: contents.map(described),
  })
  const blob = (content: Buffer | string, digest = digestOf(content)): Member => ({
    path: `blobs/sha256/${digest.slice(7)}`,
    content,
  })
  return tar([
    ...contents.map((content) => blob(spoil?.(content) ?? content, digestOf(content))),
    blob(config),
    blob(manifest),
    { path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
    { path: 'index.json', content: JSON.stringify({ schemaVersion: 2, manifests: [described(manifest)] }) },
  ])
}

/** A root file system with these programs of the host and what they load. */
export function hostPrograms(programs: readonly string[]): Member[] {
  const files = new Map<string, Member>()
  const add = (path: string, host: string) =>
    files.set(path, { path: path.slice(1), content: readFileSync(host), mode: 0o755 })
  for (const program of programs) {
    const host = realpathSync(program)
    add(`/usr/bin/${basename(program)}`, host)
    for (const line of String(spawnSync('ldd', [host]).stdout).split('\n')) {
      const library = /(\/\S+) \(0x/.exec(line)?.[1]
      if (library) add(library.startsWith('/usr') ? library : `/usr${library}`, realpathSync(library))
    }
  }
  const folders = new Set([...files.keys()].flatMap((path) => foldersTo(dirname(path))))
  const tops = ['bin', 'lib', 'lib64'].map((name) => link(name, `usr/${name}`))
  return [...[...folders].map((path) => folder(path.slice(1))), ...tops, ...files.values()]
}

/** A folder of the host at the same place, without its links. */
export function hostTree(path: string): Member[] {
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
  const above = [...foldersTo(path)].map((name) => folder(name.slice(1)))
  return [
    ...above,
    ...found.flatMap((entry): Member[] => {
      const host = join(entry.parentPath, entry.name)
      if (entry.isDirectory()) return [folder(host.slice(1))]
      return entry.isFile() ? [{ path: host.slice(1), content: readFileSync(host) }] : []
    }),
  ]
}

const foldersTo = (path: string): string[] => (path === '/' ? [] : [...foldersTo(dirname(path)), path])
