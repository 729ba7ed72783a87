/** What authenticators write (RFC 8949, the part that CTAP2 allows): no floats, no tags, no indefinite lengths. */
export type Cbor = number | string | boolean | null | Buffer | Cbor[] | Map<number | string, Cbor>

/** The first value and where it ends. Throws a RangeError for what is not written like this. */
export function readCbor(bytes: Buffer): { value: Cbor; end: number } {
  return readAt(bytes, 0, 0)
}

const deepest = 8

function readAt(bytes: Buffer, start: number, depth: number): { value: Cbor; end: number } {
  if (depth > deepest) throw new RangeError('nested too deep')
  const first = bytes.readUInt8(start)
  const kind = first >> 5
  const { count, end } = lengthAt(bytes, start + 1, first & 31)
  switch (kind) {
    case 0:
      return { value: count, end }
    case 1:
      return { value: -1 - count, end }
    case 2:
      return { value: slice(bytes, end, count), end: end + count }
    case 3:
      return { value: slice(bytes, end, count).toString('utf8'), end: end + count }
    case 4:
      return readList(bytes, end, count, depth)
    case 5:
      return readMap(bytes, end, count, depth)
    default:
      return { value: simple(first), end }
  }
}

function lengthAt(bytes: Buffer, at: number, low: number): { count: number; end: number } {
  if (low < 24) return { count: low, end: at }
  if (low === 24) return { count: bytes.readUInt8(at), end: at + 1 }
  if (low === 25) return { count: bytes.readUInt16BE(at), end: at + 2 }
  if (low === 26) return { count: bytes.readUInt32BE(at), end: at + 4 }
  throw new RangeError('a length that no authenticator writes')
}

function slice(bytes: Buffer, start: number, length: number): Buffer {
  if (start + length > bytes.length) throw new RangeError('ends too early')
  return bytes.subarray(start, start + length)
}

function readList(bytes: Buffer, start: number, count: number, depth: number) {
  const value: Cbor[] = []
  let end = start
  for (let i = 0; i < count; i++) {
    const item = readAt(bytes, end, depth + 1)
    value.push(item.value)
    end = item.end
  }
  return { value, end }
}

function readMap(bytes: Buffer, start: number, count: number, depth: number) {
  const value = new Map<number | string, Cbor>()
  let end = start
  for (let i = 0; i < count; i++) {
    const key = readAt(bytes, end, depth + 1)
    const item = readAt(bytes, key.end, depth + 1)
    if (typeof key.value !== 'number' && typeof key.value !== 'string') throw new RangeError('a strange key')
    if (value.has(key.value)) throw new RangeError('a key twice')
    value.set(key.value, item.value)
    end = item.end
  }
  return { value, end }
}

function simple(first: number): Cbor {
  if (first === 0xf4 || first === 0xf5) return first === 0xf5
  if (first === 0xf6) return null
  throw new RangeError('a value that no authenticator writes')
}
