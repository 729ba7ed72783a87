// Runs as the command of a sandbox. It reads the archive of an image and says, on standard output, what the image holds: lines of
// JSON, of which that of a file is followed by its bytes. An archive may have been made to mislead whoever unpacks it. What this
// program says is therefore only believed by a host that checks each word of it, and nothing of the archive is written here.
import { layersOf, summed, unpacked } from './layers.mjs'
import { membersOf } from './tar.mjs'
import { createTree } from './tree.mjs'

const [file, platform, ...numbers] = process.argv.slice(2)
const [entries, bytes, sizeBytes] = numbers.map(Number)
const bounds = { entries, bytes }

let parts = []
let partBytes = 0

/** Many together, because there are tens of thousands. */
async function write(part) {
  parts.push(part)
  partBytes += part.length
  if (partBytes > 32 * 1024) await flush()
}

function flush() {
  const all = Buffer.concat(parts)
  parts = []
  partBytes = 0
  return new Promise((resolve, reject) =>
    process.stdout.write(all, (error) => (error ? reject(error) : resolve())),
  )
}

const say = (frame) => write(Buffer.from(`${JSON.stringify(frame)}\n`))

/** Folders at once; what else there is goes where it is said later. */
async function sayFolders(node, prefix, links, contents) {
  for (const [name, child] of node.children) {
    const path = prefix + name
    if (child.kind === 'directory') {
      await say({ kind: 'directory', path })
      await sayFolders(child, `${path}/`, links, contents)
    } else if (child.kind === 'link') links.push({ path, target: child.target })
    else {
      const { content } = child
      content.paths.push(path)
      contents[content.layer].set(content.index, content)
    }
  }
}

async function sayFiles(layer, contents) {
  if (contents.size === 0) return
  let index = 0
  for await (const { body, size } of membersOf(unpacked(layer))) {
    const content = contents.get(index++)
    if (!content) continue
    const [path, ...others] = content.paths
    await say({ kind: 'file', path, size, executable: content.executable })
    for await (const part of body()) await write(part)
    for (const other of others) await say({ kind: 'same', path: other, as: path })
  }
}

async function main() {
  const { layers, sums, environment } = await layersOf({ file, start: 0, size: sizeBytes }, bounds, platform)
  const { root, left, take } = createTree(bounds)
  for (const [at, layer] of layers.entries()) {
    const { stream, sum } = summed(unpacked(layer))
    await take(membersOf(stream), at)
    if (sums[at] !== undefined && sum() !== sums[at])
      throw new Error(`its layer ${at + 1} does not have the digest ${sums[at]}`)
  }
  if (['manifest.json', 'oci-layout'].some((name) => root.children.has(name)))
    throw new Error('its layers are packed as a whole: unpack the archive first, with gunzip or zstd')
  const links = []
  const contents = layers.map(() => new Map())
  await sayFolders(root, '', links, contents)
  for (const [at, layer] of layers.entries()) await sayFiles(layer, contents[at])
  for (const { path, target } of links) await say({ kind: 'link', path, target })
  for (const one of left.examples) await say({ kind: 'left', ...one })
  await say({ kind: 'end', environment, left: left.count })
  await flush()
}

main().catch((error) => {
  process.stderr.write(`${String(error.message).slice(0, 500)}\n`)
  process.exitCode = 1
})
