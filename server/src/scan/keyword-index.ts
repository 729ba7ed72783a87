/**
 * Finds many words in one pass over bytes, letters compared without case (Aho–Corasick, as one dense table). The cost
 * for each byte is two array reads, whatever the number of words. Each read needs the one before it, so four stretches
 * are gone through side by side: the processor works on one while it waits for another.
 */
export type KeywordIndex = {
  /** Calls `hit(word, start, end)` for every occurrence, in the order of `end`. */
  search(bytes: Uint8Array, from: number, to: number, hit: Hit): void
}

type Hit = (word: number, start: number, end: number) => void
type Stretch = { readonly from: number; readonly to: number; readonly state: number }

type Node = { next: Map<number, number>; fail: number; words: number[] }

const fold = (byte: number): number => (byte >= 65 && byte <= 90 ? byte + 32 : byte)

/** Stretches that are shorter are not worth the bytes that are read twice between them. */
const shortestStretch = 256
/** Four of them fit the processor's cache, and what is noted of them stays small. */
const longestStretch = 16_384

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
  const classes = classesOf(encoded)
  const shift = Math.ceil(Math.log2(Math.max(...classes) + 1))
  const rows = fillTable({ nodes, order, numberOf, classOf: classes, width: 1 << shift })
  const accepting = ranked.findIndex((node) => hasWords(nodes[node]))
  const wordsAt = ranked.map((node) => nodes[node]?.words ?? [])
  const lengths = encoded.map((word) => word.length)
  const longest = Math.max(...lengths)

  function tell(state: number, last: number, hit: Hit): void {
    for (const word of wordsAt[state] ?? []) hit(word, last + 1 - (lengths[word] ?? 0), last + 1)
  }

  function tellNoted(noted: readonly number[], hit: Hit): void {
    for (let i = 0; i < noted.length; i += 2) tell(noted[i] as number, noted[i + 1] as number, hit)
  }

  /** One stretch; returns the state at its end. */
  function searchOne(bytes: Uint8Array, stretch: Stretch, hit: Hit): number {
    let { state } = stretch
    for (let i = stretch.from; i < stretch.to; i++) {
      state = rows[(state << shift) + (classes[bytes[i] as number] as number)] as number
      if (state >= accepting) tell(state, i, hit)
    }
    return state
  }

  /** The state at `at`, where nothing is known of what came before: no word is longer than what is read for it. */
  const stateAt = (bytes: Uint8Array, at: number): number =>
    searchOne(bytes, { from: Math.max(0, at + 1 - longest), to: at, state: 0 }, () => undefined)

  /** Four stretches of equal length, one after the other. Returns the state at the end of the last. */
  function searchFour(bytes: Uint8Array, { from, to, state }: Stretch, hit: Hit): number {
    const span = (to - from) >> 2
    const [from1, from2, from3] = [from + span, from + 2 * span, from + 3 * span]
    const [noted1, noted2, noted3]: [number[], number[], number[]] = [[], [], []]
    let state0 = state
    let state1 = stateAt(bytes, from1)
    let state2 = stateAt(bytes, from2)
    let state3 = stateAt(bytes, from3)
    for (let i = 0; i < span; i++) {
      state0 = rows[(state0 << shift) + (classes[bytes[from + i] as number] as number)] as number
      state1 = rows[(state1 << shift) + (classes[bytes[from1 + i] as number] as number)] as number
      state2 = rows[(state2 << shift) + (classes[bytes[from2 + i] as number] as number)] as number
      state3 = rows[(state3 << shift) + (classes[bytes[from3 + i] as number] as number)] as number
      if (state0 >= accepting) tell(state0, from + i, hit)
      if (state1 >= accepting) noted1.push(state1, from1 + i)
      if (state2 >= accepting) noted2.push(state2, from2 + i)
      if (state3 >= accepting) noted3.push(state3, from3 + i)
    }
    tellNoted(noted1, hit)
    tellNoted(noted2, hit)
    tellNoted(noted3, hit)
    return state3
  }

  return {
    search(bytes, from, to, hit) {
      let [at, state] = [from, 0]
      while (to - at >= 4 * Math.max(shortestStretch, longest)) {
        const next = at + 4 * Math.min(longestStretch, (to - at) >> 2)
        state = searchFour(bytes, { from: at, to: next, state }, hit)
        at = next
      }
      searchOne(bytes, { from: at, to, state }, hit)
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
}): Uint16Array | Uint32Array {
  const { nodes, order, numberOf, classOf, width } = parts
  // Half the memory where the states can be told by two bytes: more of it stays near the processor.
  const table = new (nodes.length <= 0xffff ? Uint16Array : Uint32Array)(nodes.length * width)
  for (const at of order) {
    const row = (numberOf[at] ?? 0) * width
    const node = nodes[at]
    if (!node) continue
    if (at !== 0) {
      const failRow = (numberOf[node.fail] ?? 0) * width
      table.copyWithin(row, failRow, failRow + width)
    }
    for (const [byte, child] of node.next) table[row + (classOf[byte] ?? 0)] = numberOf[child] ?? 0
  }
  return table
}
