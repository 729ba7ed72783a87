/**
 * Finds many words in one pass over bytes, letters compared without case (Aho–Corasick, as one dense table). The cost
 * for each byte is two array reads, whatever the number of words.
 */
export type KeywordIndex = {
  /** Calls `hit(word, start, end)` for every occurrence, in the order of `end`. */
  search(
    bytes: Uint8Array,
    from: number,
    to: number,
    hit: (word: number, start: number, end: number) => void,
  ): void
}

type Node = { next: Map<number, number>; fail: number; words: number[] }

const fold = (byte: number): number => (byte >= 65 && byte <= 90 ? byte + 32 : byte)

export function createKeywordIndex(words: readonly string[]): KeywordIndex {
  const encoded = words.map((word) => Array.from(Buffer.from(word, 'latin1'), fold))
  const nodes = buildTrie(encoded)
  const order = linkFailures(nodes)
  // Accepting states are numbered last, so that one comparison tells a hit.
  const ranked = [...order].sort((a, b) => Number(hasWords(nodes[a])) - Number(hasWords(nodes[b])))
  const numberOf = new Uint32Array(nodes.length)
  ranked.forEach((node, index) => {
    numberOf[node] = index
  })
  const classOf = classesOf(encoded)
  const shift = Math.ceil(Math.log2(Math.max(...classOf) + 1))
  const table = fillTable({ nodes, order, numberOf, classOf, width: 1 << shift })
  const firstAccepting = ranked.findIndex((node) => hasWords(nodes[node]))
  const wordsAt = ranked.map((node) => nodes[node]?.words ?? [])
  const lengths = encoded.map((word) => word.length)

  return {
    search(bytes, from, to, hit) {
      const [rows, classes, accepting] = [table, classOf, firstAccepting << shift]
      let state = 0
      for (let i = from; i < to; i++) {
        state = rows[state + (classes[bytes[i] as number] as number)] as number
        if (state < accepting) continue
        for (const word of wordsAt[state >> shift] ?? []) hit(word, i + 1 - (lengths[word] ?? 0), i + 1)
      }
    },
  }
}

const hasWords = (node: Node | undefined): boolean => (node?.words.length ?? 0) > 0

function buildTrie(words: readonly number[][]): Node[] {
  const nodes: Node[] = [{ next: new Map(), fail: 0, words: [] }]
  words.forEach((word, index) => {
    let at = 0
    for (const byte of word) {
      const known = nodes[at]?.next.get(byte)
      if (known !== undefined) {
        at = known
        continue
      }
      nodes.push({ next: new Map(), fail: 0, words: [] })
      nodes[at]?.next.set(byte, nodes.length - 1)
      at = nodes.length - 1
    }
    nodes[at]?.words.push(index)
  })
  return nodes
}

/** Breadth first: a node's failure link is complete before its children need it. Returns that order. */
function linkFailures(nodes: Node[]): number[] {
  const order = [0]
  for (const at of order) {
    for (const [byte, child] of nodes[at]?.next ?? []) {
      order.push(child)
      if (at !== 0) linkChild(nodes, at, byte, child)
    }
  }
  return order
}

function linkChild(nodes: Node[], parent: number, byte: number, child: number): void {
  const node = nodes[child]
  if (!node) return
  let fail = nodes[parent]?.fail ?? 0
  while (fail !== 0 && !nodes[fail]?.next.has(byte)) fail = nodes[fail]?.fail ?? 0
  node.fail = nodes[fail]?.next.get(byte) ?? 0
  node.words.push(...(nodes[node.fail]?.words ?? []))
}

/** Bytes that no word holds share class 0, which keeps the table small enough for the processor's cache. */
function classesOf(words: readonly number[][]): Uint8Array {
  const classes = new Uint8Array(256)
  let last = 0
  for (const byte of new Set(words.flat())) classes[byte] = ++last
  for (let byte = 65; byte <= 90; byte++) classes[byte] = classes[fold(byte)] ?? 0
  return classes
}

function fillTable(parts: {
  nodes: Node[]
  order: number[]
  numberOf: Uint32Array
  classOf: Uint8Array
  width: number
}): Uint32Array {
  const { nodes, order, numberOf, classOf, width } = parts
  const table = new Uint32Array(nodes.length * width)
  for (const at of order) {
    const row = (numberOf[at] ?? 0) * width
    const node = nodes[at]
    if (!node) continue
    if (at !== 0) {
      const failRow = (numberOf[node.fail] ?? 0) * width
      table.copyWithin(row, failRow, failRow + width)
    }
    for (const [byte, child] of node.next) table[row + (classOf[byte] ?? 0)] = (numberOf[child] ?? 0) * width
  }
  return table
}
