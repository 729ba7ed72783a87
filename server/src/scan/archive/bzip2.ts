import { type ByteQueue, createByteQueue } from '../../core/index.ts'

/** More than the packed bytes of one block: 900 kB, of which each symbol may take 20 bits, and its tables. */
const longestBlockBytes = 2_600_000
const blockMark = 0x314159265359
const endMark = 0x177245385090
const symbolsInGroup = 50
const longestCode = 20
const broken = (): RangeError => new RangeError('its packed bytes are damaged')

/** Reads bits from the highest on. */
type Bits = { bytes: Buffer; at: number; held: number; count: number }

function readBits(bits: Bits, count: number): number {
  if (count > 24) return readBits(bits, count - 24) * 2 ** 24 + readBits(bits, 24)
  while (bits.count < count) {
    const byte = bits.bytes[bits.at++]
    if (byte === undefined) throw new RangeError('unexpected end of file')
    bits.held = ((bits.held & 0xffffff) << 8) | byte
    bits.count += 8
  }
  bits.count -= count
  return (bits.held >>> bits.count) & (2 ** count - 1)
}

/** What a file of bzip2 holds, block for block. Files may be put one after the other. */
export async function* unpackBzip2(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const queue = createByteQueue(chunks)
  const bits: Bits = { bytes: Buffer.alloc(0), at: 0, held: 0, count: 0 }
  while (await startsFile(queue, bits)) {
    const level = readBits(bits, 8) - 48
    if (level < 1 || level > 9) throw broken()
    for (;;) {
      await fill(queue, bits)
      const mark = readBits(bits, 24) * 2 ** 24 + readBits(bits, 24)
      readBits(bits, 32)
      if (mark === endMark) break
      if (mark !== blockMark) throw broken()
      yield readBlock(bits, level * 100_000)
    }
    bits.count -= bits.count % 8
  }
}

async function startsFile(queue: ByteQueue, bits: Bits): Promise<boolean> {
  await fill(queue, bits)
  if (bits.bytes.length - bits.at + bits.count / 8 < 4) return false
  return readBits(bits, 24) === 0x425a68
}

/** So much is in memory before a block is read that it cannot end in the middle of it. */
async function fill(queue: ByteQueue, bits: Bits): Promise<void> {
  if (bits.bytes.length - bits.at >= longestBlockBytes) return
  const more = await queue.take(2 * longestBlockBytes)
  bits.bytes = Buffer.concat([bits.bytes.subarray(bits.at), more])
  bits.at = 0
}

function readBlock(bits: Bits, blockBytes: number): Buffer {
  if (readBits(bits, 1) === 1) throw new RangeError('it is of a version of bzip2 that is not known here')
  const origin = readBits(bits, 24)
  const symbols = readAlphabet(bits)
  const block = readSymbols(bits, symbols, blockBytes)
  if (origin >= block.length) throw broken()
  return withoutRuns(untransformed(block, origin))
}

/** The bytes that occur, told by a bit for each sixteen, then one for each. */
function readAlphabet(bits: Bits): number[] {
  const used = readBits(bits, 16)
  const symbols: number[] = []
  for (let group = 0; group < 16; group++) {
    if (!(used & (0x8000 >> group))) continue
    const there = readBits(bits, 16)
    for (let i = 0; i < 16; i++) if (there & (0x8000 >> i)) symbols.push(group * 16 + i)
  }
  if (symbols.length === 0) throw broken()
  return symbols
}

/** A prefix code: for each length, the last code of it and where its symbols begin. */
type Code = { limits: Int32Array; bases: Int32Array; order: number[]; shortest: number }

function readCode(bits: Bits, size: number): Code {
  let length = readBits(bits, 5)
  const lengths = Array.from({ length: size }, () => {
    while (readBits(bits, 1) === 1) length += readBits(bits, 1) === 1 ? -1 : 1
    if (length < 1 || length > longestCode) throw broken()
    return length
  })
  const limits = new Int32Array(longestCode + 2).fill(-1)
  const bases = new Int32Array(longestCode + 2)
  const order = lengths
    .map((_, symbol) => symbol)
    .sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b)
  let code = 0
  let index = 0
  for (let each = 1; each <= longestCode; each++) {
    const count = lengths.filter((one) => one === each).length
    bases[each] = index - code
    code += count
    index += count
    limits[each] = count > 0 ? code - 1 : -1
    code <<= 1
  }
  return { limits, bases, order, shortest: Math.min(...lengths) }
}

function readSymbol(bits: Bits, from: Code | undefined): number {
  if (!from) throw broken()
  const { limits, bases, order, shortest } = from
  let code = readBits(bits, shortest)
  for (let length = shortest; length <= longestCode; length++) {
    if (code <= (limits[length] as number)) return order[code + (bases[length] as number)] as number
    code = (code << 1) | readBits(bits, 1)
  }
  throw broken()
}

function readSelectors(bits: Bits, codes: number): number[] {
  const recent = Array.from({ length: codes }, (_, index) => index)
  return Array.from({ length: readBits(bits, 15) }, () => {
    let place = 0
    while (readBits(bits, 1) === 1) place++
    const [code] = recent.splice(place, 1)
    if (code === undefined) throw broken()
    recent.unshift(code)
    return code
  })
}

/** The codes of a block, one of them for each fifty symbols. */
function readCodes(bits: Bits, size: number): Code[] {
  const count = readBits(bits, 3)
  if (count < 2 || count > 6) throw broken()
  const selectors = readSelectors(bits, count)
  const codes = Array.from({ length: count }, () => readCode(bits, size))
  return selectors.flatMap((selector) => codes[selector] ?? [])
}

/** The block as it was after sorting: places in the list of recent bytes, with runs of the first one counted. */
function readSymbols(bits: Bits, symbols: readonly number[], blockBytes: number): Buffer {
  const end = symbols.length + 1
  const codes = readCodes(bits, symbols.length + 2)
  const block = Buffer.allocUnsafe(blockBytes)
  const recent = [...symbols]
  let [filled, run, weight] = [0, 0, 1]
  for (let read = 0; ; read++) {
    const symbol = readSymbol(bits, codes[Math.floor(read / symbolsInGroup)])
    const isRun = symbol < 2
    if (isRun) {
      // Two digits, 1 and 2, the lowest first.
      run += weight * (symbol + 1)
      weight *= 2
    }
    const grown = filled + run + Number(!isRun && symbol !== end)
    if (grown > blockBytes) throw broken()
    if (isRun) continue
    block.fill(recent[0] ?? 0, filled, filled + run)
    if (symbol === end) return block.subarray(0, grown)
    const [byte = 0] = recent.splice(symbol - 1, 1)
    recent.unshift(byte)
    block[grown - 1] = byte
    ;[filled, run, weight] = [grown, 0, 1]
  }
}

/** Undoes the transform of Burrows and Wheeler. */
function untransformed(block: Buffer, origin: number): Buffer {
  const starts = new Uint32Array(256)
  for (const byte of block) starts[byte] = (starts[byte] as number) + 1
  let sum = 0
  for (let byte = 0; byte < 256; byte++) {
    const count = starts[byte] as number
    starts[byte] = sum
    sum += count
  }
  const next = new Uint32Array(block.length)
  for (let i = 0; i < block.length; i++) {
    const byte = block[i] as number
    const place = starts[byte] as number
    next[place] = i
    starts[byte] = place + 1
  }
  const plain = Buffer.allocUnsafe(block.length)
  let at = next[origin] as number
  for (let i = 0; i < block.length; i++) {
    plain[i] = block[at] as number
    at = next[at] as number
  }
  return plain
}

/** Four equal bytes are followed by how many more there are. */
function withoutRuns(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  let [from, same] = [0, 0]
  for (let i = 0; i < bytes.length; i++) {
    if (same === 4) {
      parts.push(bytes.subarray(from, i), Buffer.alloc(bytes[i] as number, bytes[i - 1] as number))
      from = i + 1
      same = 0
      continue
    }
    same = same > 0 && bytes[i] === bytes[i - 1] ? same + 1 : 1
  }
  parts.push(bytes.subarray(from))
  return Buffer.concat(parts)
}
