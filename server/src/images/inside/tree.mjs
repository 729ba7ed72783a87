// The tree of an image, put together layer by layer as a container engine would: github.com/opencontainers/image-spec, layer.md

/** Nothing of these is used: a sandbox has its own. */
const unused = ['dev', 'proc', 'sys', 'run', 'tmp', 'workspace', 'writable']
const mostHops = 40
const mostExamples = 200
const folderOf = (layer) => ({ kind: 'directory', children: new Map(), layer })

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const isName = (name) => Buffer.byteLength(name) <= 255 && !/[\u0000-\u001f\u007f\ufffd]/.test(name)

/** The parts of a path in the image; undefined for one that leads out of it. */
function partsOf(path) {
  if (path.length > 4096) return undefined
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  return parts.includes('..') || !parts.every(isName) ? undefined : parts
}

/** Where a link leads, from the folder that it is in; not above the root. */
function pathFrom(folder, target) {
  const way = target.startsWith('/') ? [] : [...folder]
  for (const part of target.split('/')) {
    if (part === '..') way.pop()
    else if (part !== '' && part !== '.') way.push(part)
  }
  return way.every(isName) ? way : undefined
}

/**
 * Takes the members of each layer, the lowest first, all of one before the next. `root` is a node: a folder with `children`, a link
 * with its `target`, or a file with its `content`, which says the layer and the member that have it.
 */
export function createTree(bounds) {
  const root = folderOf(-1)
  const left = { count: 0, examples: [] }
  let entries = 0
  let bytes = 0

  function leave(path, reason) {
    left.count += 1
    if (left.examples.length < mostExamples) left.examples.push({ path: path.slice(0, 400), reason })
  }

  function put(folder, name, node) {
    entries += 1
    if (entries > bounds.entries) throw new Error(`it holds more than ${bounds.entries} files and folders`)
    folder.children.set(name, node)
    return node
  }

  /** The folder that a path leads to, by links as the image's own root has them; made where it is not there. */
  function folderAt(parts, layer, hops = 0) {
    let node = root
    for (const [at, name] of parts.entries()) {
      const next = node.children.get(name) ?? put(node, name, folderOf(layer))
      if (next.kind === 'link') {
        const way = hops < mostHops ? pathFrom(parts.slice(0, at), next.target) : undefined
        return way && folderAt([...way, ...parts.slice(at + 1)], layer, hops + 1)
      }
      if (next.kind !== 'directory') return undefined
      node = next
    }
    return node
  }

  function fileOf({ mode, size }, parts, layer, index) {
    if (mode & 0o6000) leave(parts.join('/'), 'kept without its right to become another user')
    bytes += size
    if (bytes > bounds.bytes) throw new Error(`it holds more than ${bounds.bytes} bytes`)
    return {
      kind: 'file',
      layer,
      content: { layer, index, size, executable: (mode & 0o111) !== 0, paths: [] },
    }
  }

  /** Another name of something: the same content. */
  function sameAs({ target }, layer) {
    const parts = partsOf(target)
    const node = parts && folderAt(parts.slice(0, -1), layer)?.children.get(parts.at(-1))
    return node && node.kind !== 'directory' ? { ...node, layer } : undefined
  }

  /** Undefined for what cannot be there; that is told. */
  function nodeOf(member, parts, layer, index) {
    if (member.kind === 'link') return { kind: 'link', target: member.target, layer }
    if (member.kind === 'file') return fileOf(member, parts, layer, index)
    const node = sameAs(member, layer)
    if (!node) leave(parts.join('/'), 'the file that it is another name of is not there')
    return node
  }

  function add(parts, member, layer, index) {
    const name = parts.at(-1)
    const folder = folderAt(parts.slice(0, -1), layer)
    if (!folder) return leave(parts.join('/'), 'its folder is no folder')
    const isFolder = member.kind === 'directory'
    if (isFolder && folder.children.get(name)?.kind === 'directory') return
    const node = isFolder ? folderOf(layer) : nodeOf(member, parts, layer, index)
    if (node) put(folder, name, node)
  }

  /** What a layer says of those below it: gone. */
  function strike(parts, layer) {
    const folder = folderAt(parts.slice(0, -1), layer)
    const name = parts.at(-1)
    if (name === '.wh..wh..opq') folder?.children.clear()
    else folder?.children.delete(name.slice('.wh.'.length))
  }

  /** What is to be added of a member; marks and what is left out are dealt with here. */
  function sort({ path, kind, mode, size, target }, layer, at) {
    const parts = partsOf(path)
    if (!parts) leave(path, 'its name leads elsewhere, or cannot be written here')
    else if (parts.length === 0 || unused.includes(parts[0])) return []
    else if (parts.at(-1).startsWith('.wh.')) strike(parts, layer)
    else if (kind === 'special') leave(path, 'neither a file, nor a folder, nor a link')
    else return [{ parts, member: { kind, mode, size, target }, at }]
    return []
  }

  return {
    root,
    left,
    /** Marks first: they are of the layers below, wherever they stand in this one. */
    async take(members, layer) {
      const kept = []
      let index = 0
      for await (const member of members) {
        kept.push(...sort(member, layer, index++))
        if (index > 4 * bounds.entries)
          throw new Error(`a layer holds more than ${4 * bounds.entries} members`)
      }
      for (const { parts, member, at } of kept) add(parts, member, layer, at)
    },
  }
}
