/**
 * Undoes LZMA, as the specification of its SDK describes it: a range coder whose probabilities adapt, over literals,
 * matches and repeated matches. The format of what holds it (xz, 7z) is not known here.
 */
export type Lzma = {
  /** How the next bytes are coded; `lc`, `lp` and `pb` in one byte, as both containers write them. */
  setProperties(byte: number): void
  resetState(): void
  resetDictionary(): void
  /** What `length` bytes of output the packed bytes hold. */
  unpack(packed: Buffer, length: number): Buffer
  /** Bytes that are not packed, which later ones may repeat. */
  pass(plain: Buffer): void
}

const states = 12
const half = 1024
const firstRange = 0xffffffff
const distanceSlots = 64
const specialDistances = 115
const broken = (): RangeError => new RangeError('its packed bytes are damaged')

/** The coder of bits: what was read of the packed bytes, and how far. */
type Coder = { bytes: Buffer; at: number; range: number; code: number }

function nextByte(coder: Coder): number {
  const byte = coder.bytes[coder.at++]
  if (byte === undefined) throw new RangeError('unexpected end of file')
  return byte
}

function startCoder(coder: Coder, bytes: Buffer): void {
  coder.bytes = bytes
  coder.at = 1
  coder.range = firstRange
  coder.code = 0
  for (let i = 0; i < 4; i++) coder.code = ((coder.code << 8) | nextByte(coder)) >>> 0
  if (bytes[0] !== 0) throw broken()
}

function readBit(coder: Coder, probabilities: Uint16Array, index: number): number {
  if (coder.range < 0x1000000) {
    coder.range = (coder.range << 8) >>> 0
    coder.code = ((coder.code << 8) | nextByte(coder)) >>> 0
  }
  const probability = probabilities[index] as number
  const bound = (coder.range >>> 11) * probability
  if (coder.code < bound) {
    coder.range = bound
    probabilities[index] = probability + ((2048 - probability) >>> 5)
    return 0
  }
  coder.range = (coder.range - bound) >>> 0
  coder.code = (coder.code - bound) >>> 0
  probabilities[index] = probability - (probability >>> 5)
  return 1
}

/** Bits that are as likely to be 0 as 1. */
function readDirect(coder: Coder, count: number): number {
  let value = 0
  for (let i = 0; i < count; i++) {
    if (coder.range < 0x1000000) {
      coder.range = (coder.range << 8) >>> 0
      coder.code = ((coder.code << 8) | nextByte(coder)) >>> 0
    }
    coder.range >>>= 1
    const bit = coder.code >= coder.range ? 1 : 0
    if (bit === 1) coder.code = (coder.code - coder.range) >>> 0
    value = value * 2 + bit
  }
  return value
}

function readTree(coder: Coder, probabilities: Uint16Array, base: number, bits: number): number {
  let symbol = 1
  for (let i = 0; i < bits; i++) symbol = (symbol << 1) | readBit(coder, probabilities, base + symbol)
  return symbol - (1 << bits)
}

function readReverse(coder: Coder, probabilities: Uint16Array, base: number, bits: number): number {
  let symbol = 1
  let value = 0
  for (let i = 0; i < bits; i++) {
    const bit = readBit(coder, probabilities, base + symbol)
    symbol = (symbol << 1) | bit
    value |= bit << i
  }
  return value
}

/** Of a length: two choices, eight short ones and eight middle ones for each position, and 256 long ones. */
const lengths = { choice: 0, middle: 1, low: 2, mid: 2 + 128, high: 2 + 256, size: 2 + 512 }

function readLength(coder: Coder, table: Uint16Array, position: number): number {
  if (readBit(coder, table, lengths.choice) === 0)
    return readTree(coder, table, lengths.low + (position << 3), 3)
  if (readBit(coder, table, lengths.middle) === 0)
    return 8 + readTree(coder, table, lengths.mid + (position << 3), 3)
  return 16 + readTree(coder, table, lengths.high, 8)
}

type Tables = ReturnType<typeof newTables>

function newTables(literalBits: number) {
  const table = (length: number): Uint16Array => new Uint16Array(length).fill(half)
  return {
    isMatch: table(states << 4),
    isRep: table(states),
    isRepFirst: table(states),
    isRepSecond: table(states),
    isRepThird: table(states),
    isShortRep: table(states << 4),
    slots: table(4 * distanceSlots),
    special: table(specialDistances),
    align: table(16),
    matchLength: table(lengths.size),
    repLength: table(lengths.size),
    literals: table(0x300 << literalBits),
  }
}

function readDistance(coder: Coder, tables: Tables, length: number): number {
  const slot = readTree(coder, tables.slots, Math.min(length, 3) * distanceSlots, 6)
  if (slot < 4) return slot
  const bits = (slot >> 1) - 1
  const base = ((2 | (slot & 1)) << bits) >>> 0
  if (slot < 14) return base + readReverse(coder, tables.special, base - slot, bits)
  return base + readDirect(coder, bits - 4) * 16 + readReverse(coder, tables.align, 0, 4)
}

export function createLzma(dictionaryBytes: number): Lzma {
  const size = Math.max(4096, dictionaryBytes)
  const window = Buffer.alloc(size)
  const coder: Coder = { bytes: window, at: 0, range: 0, code: 0 }
  let [literalContext, literalPositionMask, positionMask] = [3, 0, 3]
  let tables = newTables(3)
  let state = 0
  let reps: [number, number, number, number] = [0, 0, 0, 0]
  /** Bytes since the dictionary was reset, and where the next one goes. */
  let total = 0
  let at = 0

  function put(byte: number): number {
    window[at] = byte
    at = at + 1 === size ? 0 : at + 1
    total++
    return byte
  }

  function earlier(distance: number): number {
    if (distance >= total || distance >= size) throw broken()
    return window[at > distance ? at - distance - 1 : at - distance - 1 + size] as number
  }

  /** After a match, the byte that would have gone on tells much of the one that does. */
  function readAfterMatch(base: number): number {
    let expected = earlier(reps[0])
    let symbol = 1
    while (symbol < 0x100) {
      const expectedBit = (expected >> 7) & 1
      expected <<= 1
      const bit = readBit(coder, tables.literals, base + ((1 + expectedBit) << 8) + symbol)
      symbol = (symbol << 1) | bit
      if (bit !== expectedBit) break
    }
    return symbol
  }

  function readLiteral(): number {
    const previous = total === 0 ? 0 : earlier(0)
    const context = ((total & literalPositionMask) << literalContext) + (previous >> (8 - literalContext))
    const base = 0x300 * context
    let symbol = state < 7 ? 1 : readAfterMatch(base)
    while (symbol < 0x100) symbol = (symbol << 1) | readBit(coder, tables.literals, base + symbol)
    if (state < 4) state = 0
    else state -= state < 10 ? 3 : 6
    return symbol & 0xff
  }

  /** Which of the last distances is meant, and brought to the front. */
  function chooseDistance(): void {
    const [first, second, third, fourth] = reps
    if (readBit(coder, tables.isRepSecond, state) === 0) reps = [second, first, third, fourth]
    else if (readBit(coder, tables.isRepThird, state) === 0) reps = [third, first, second, fourth]
    else reps = [fourth, first, second, third]
  }

  /** The length of a match at a distance that was used before; 1 for a single byte. */
  function readRepeated(position: number): number {
    if (readBit(coder, tables.isRepFirst, state) === 1) chooseDistance()
    else if (readBit(coder, tables.isShortRep, (state << 4) | position) === 0) {
      state = state < 7 ? 9 : 11
      return 1
    }
    state = state < 7 ? 8 : 11
    return 2 + readLength(coder, tables.repLength, position)
  }

  function readMatch(position: number): number {
    if (readBit(coder, tables.isRep, state) === 1) return readRepeated(position)
    const length = readLength(coder, tables.matchLength, position)
    state = state < 7 ? 7 : 10
    reps = [readDistance(coder, tables, length), reps[0], reps[1], reps[2]]
    return length + 2
  }

  const lzma: Lzma = {
    setProperties(byte) {
      const [lc, lp, pb] = [byte % 9, Math.floor(byte / 9) % 5, Math.floor(byte / 45)]
      if (pb > 4 || lc + lp > 8) throw broken()
      ;[literalContext, literalPositionMask, positionMask] = [lc, (1 << lp) - 1, (1 << pb) - 1]
      tables = newTables(lc + lp)
      lzma.resetState()
    },
    resetState() {
      for (const table of Object.values(tables)) table.fill(half)
      state = 0
      reps = [0, 0, 0, 0]
    },
    resetDictionary() {
      total = 0
      at = 0
    },
    unpack(packed, length) {
      startCoder(coder, packed)
      const out = Buffer.allocUnsafe(length)
      for (let done = 0; done < length; ) {
        const position = total & positionMask
        if (readBit(coder, tables.isMatch, (state << 4) | position) === 0) {
          out[done++] = put(readLiteral())
          continue
        }
        const count = readMatch(position)
        if (count > length - done) throw broken()
        const [distance] = reps
        for (const end = done + count; done < end; ) out[done++] = put(earlier(distance))
      }
      return out
    },
    pass(plain) {
      for (const byte of plain) put(byte)
    },
  }
  return lzma
}
