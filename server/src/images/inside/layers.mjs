// Where the layers of an image are in its archive: an OCI layout (github.com/opencontainers/image-spec, image-layout.md), what
// `docker save` writes, or one root file system.
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { membersOf } from './tar.mjs'

const mostDocumentBytes = 4 * 1024 * 1024

/** The bytes of a part of the archive, as they are. */
const raw = ({ file, start, size }) =>
  size === 0 ? Readable.from([]) : createReadStream(file, { start, end: start + size - 1 })

function startOf({ file, start, size }) {
  const bytes = Buffer.alloc(Math.min(6, size))
  const archive = openSync(file, 'r')
  readSync(archive, bytes, 0, bytes.length, start)
  closeSync(archive)
  return bytes.toString('hex')
}

const isPacked = (start) => /^(1f8b|28b52ffd|fd377a58|425a68)/.test(start)

/** Undone, whatever they were packed with. */
export function unpacked(part) {
  const start = startOf(part)
  if (start.startsWith('1f8b')) return through(raw(part), createGunzip())
  if (start.startsWith('28b52ffd')) return through(raw(part), createZstdDecompress())
  if (start === 'fd377a585a00')
    throw new Error('it is packed with xz: unpack it first, with "xz --decompress"')
  if (start.startsWith('425a68')) throw new Error('it is packed with bzip2: unpack it first')
  return raw(part)
}

function through(from, undo) {
  from.on('error', (error) => undo.destroy(error))
  return from.pipe(undo)
}

/** With what it says of itself at the end: the sum of what went through. */
export function summed(stream) {
  const hash = createHash('sha256')
  async function* parts() {
    for await (const part of stream) {
      hash.update(part)
      yield part
    }
  }
  return { stream: parts(), sum: () => `sha256:${hash.digest('hex')}` }
}

async function sumOf(part) {
  const { stream, sum } = summed(raw(part))
  for await (const bytes of stream) void bytes
  return sum()
}

/** The archive's own members by name, with where they are. */
async function contentsOf(whole, { entries }) {
  const found = new Map()
  if (isPacked(startOf(whole))) return found
  for await (const { path, kind, size, offset } of membersOf(raw(whole))) {
    if (kind === 'file') found.set(path.replace(/^(\.?\/)+/, ''), { file: whole.file, start: offset, size })
    if (found.size > entries) throw new Error(`it holds more than ${entries} files`)
  }
  return found
}

async function document(part, what) {
  if (!part) throw new Error(`the image names ${what}, which is not in the archive`)
  if (part.size > mostDocumentBytes) throw new Error(`${what} is too long`)
  const parts = []
  for await (const bytes of raw(part)) parts.push(bytes)
  return JSON.parse(Buffer.concat(parts).toString('utf8'))
}

const isDigest = (text) => typeof text === 'string' && /^sha256:[0-9a-f]{64}$/.test(text)

/** OCI Image Layout: a blob by its digest, which is checked. */
async function blob(contents, digest) {
  if (!isDigest(digest)) throw new Error(`the digest ${String(digest).slice(0, 100)} is not of SHA-256`)
  const part = contents.get(`blobs/sha256/${digest.slice(7)}`)
  if (!part) throw new Error(`the blob ${digest} is not in the archive`)
  if ((await sumOf(part)) !== digest) throw new Error(`the blob ${digest} does not have this digest`)
  return part
}

const listOf = (value) => (Array.isArray(value) ? value : [])

/** The one manifest for this platform; an index may lead to another one. */
async function ociManifest(contents, index, platform, depth = 0) {
  if (depth > 4) throw new Error('its indexes lead to one another')
  const isHere = ({ digest }) => contents.has(`blobs/sha256/${String(digest).slice(7)}`)
  const isFor = ({ platform: of }) => !of || `${of.os}/${of.architecture}` === platform
  const fitting = listOf(index.manifests).filter((one) => isFor(one) && isHere(one))
  const [digest, ...more] = new Set(fitting.map((one) => one.digest))
  if (digest === undefined || more.length > 0)
    throw new Error(
      `it holds ${digest === undefined ? 'no image' : 'several images'} for ${platform}; it must be one`,
    )
  const found = await document(await blob(contents, digest), 'the manifest')
  return found.manifests ? ociManifest(contents, found, platform, depth + 1) : found
}

async function ociLayers(contents, platform) {
  const index = await document(contents.get('index.json'), 'index.json')
  const manifest = await ociManifest(contents, index, platform)
  const config = await document(await blob(contents, manifest.config?.digest), 'the configuration')
  const layers = []
  for (const { digest } of listOf(manifest.layers)) layers.push(await blob(contents, digest))
  return { layers, config }
}

async function dockerLayers(contents) {
  const manifest = await document(contents.get('manifest.json'), 'manifest.json')
  if (manifest.length !== 1) throw new Error(`it holds ${manifest.length} images; it must be one`)
  const [{ Config, Layers }] = manifest
  const config = await document(contents.get(Config), 'the configuration')
  const layers = listOf(Layers).map((name) => {
    const part = contents.get(name)
    if (!part) throw new Error(`the layer ${String(name).slice(0, 200)} is not in the archive`)
    return part
  })
  return { layers, config }
}

export async function layersOf(whole, bounds, platform) {
  const contents = await contentsOf(whole, bounds)
  const isOci = contents.has('oci-layout') && contents.has('index.json')
  if (!isOci && !contents.has('manifest.json')) {
    return { layers: [whole], sums: [], environment: {} }
  }
  const { layers, config } = isOci ? await ociLayers(contents, platform) : await dockerLayers(contents)
  const sums = listOf(config.rootfs?.diff_ids)
  if (sums.length !== layers.length || !sums.every(isDigest))
    throw new Error('its configuration does not name the digest of each layer')
  const made = config.os && config.architecture ? `${config.os}/${config.architecture}` : platform
  if (made !== platform) throw new Error(`it is for ${made}, and this machine is ${platform}`)
  return { layers, sums, environment: environmentIn(config.config?.Env) }
}

function environmentIn(list) {
  const pairs = listOf(list).map((text) => /^([A-Za-z_]\w*)=([^\0]*)$/s.exec(String(text)))
  return Object.fromEntries(pairs.flatMap((found) => (found ? [[found[1], found[2]]] : [])))
}
