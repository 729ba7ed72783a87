// Tar archives (POSIX.1-2001, with GNU's long names), read as they come.

const blockBytes = 512
/** Headers with names longer than any path that Linux takes are not believed. */
const mostHeaderBytes = 1024 * 1024

/** Bytes of a stream, as many as are asked for. */
function bytesOf(stream) {
  const chunks = stream[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  async function fill() {
    const { value, done } = await chunks.next()
    held = done ? held : value
    return !done
  }
  return {
    /** Fewer only at the end. */
    async take(size) {
      const parts = []
      let left = size
      while (left > 0 && (held.length > 0 || (await fill()))) {
        const part = held.subarray(0, left)
        parts.push(part)
        held = held.subarray(part.length)
        left -= part.length
      }
      return Buffer.concat(parts)
    },
    /** Each part of the next so many bytes. */
    async *parts(size) {
      let left = size
      while (left > 0) {
        if (held.length === 0 && !(await fill())) throw new Error('the archive ends inside a file')
        const part = held.subarray(0, left)
        held = held.subarray(part.length)
        left -= part.length
        yield part
      }
    },
  }
}

const textOf = (bytes) => {
  const end = bytes.indexOf(0)
  return bytes.subarray(0, end < 0 ? bytes.length : end).toString('utf8')
}

/** Octal digits, or, when the first bit is set, a binary number (GNU). */
function numberOf(bytes) {
  if (bytes[0] & 0x80) {
    let value = bytes[0] & 0x7f
    for (const byte of bytes.subarray(1)) value = value * 256 + byte
    if (!Number.isSafeInteger(value)) throw new Error('a number in the archive is too large')
    return value
  }
  const digits = textOf(bytes).trim()
  if (!/^[0-7]*$/.test(digits)) throw new Error('a number in the archive is not octal')
  return Number.parseInt(digits || '0', 8)
}

/** The records of a pax header: `length key=value\n`. */
function recordsOf(bytes) {
  const records = {}
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at)
    const length = Number(bytes.subarray(at, space).toString('latin1'))
    if (space < 0 || !(length > space - at)) throw new Error('a pax header of the archive is broken')
    const record = bytes.subarray(space + 1, at + length - 1)
    const equals = record.indexOf(61)
    records[record.subarray(0, equals).toString('latin1')] = record.subarray(equals + 1).toString('utf8')
    at += length
  }
  return records
}

function checkSum(header) {
  let sum = 0
  for (let at = 0; at < blockBytes; at++) sum += at >= 148 && at < 156 ? 32 : header[at]
  if (sum !== Number.parseInt(textOf(header.subarray(148, 156)), 8))
    throw new Error('it is not a tar archive, or it is damaged')
}

const kinds = { 0: 'file', '\0': 'file', 7: 'file', 1: 'same', 2: 'link', 5: 'directory' }

const pad = (size) => (blockBytes - (size % blockBytes)) % blockBytes

/** What the headers before a member say of it, and its own header; undefined at the end. */
async function headersOf(bytes) {
  let named = {}
  let readBytes = 0
  for (;;) {
    const header = await bytes.take(blockBytes)
    readBytes += header.length
    // Two empty blocks, or the end of the file, are the end.
    if (header.length < blockBytes || header.every((byte) => byte === 0)) return undefined
    checkSum(header)
    const type = header.subarray(156, 157).toString('latin1')
    if (!'xLKg'.includes(type)) return { header, type, named, readBytes }
    const size = numberOf(header.subarray(124, 136))
    if (size > mostHeaderBytes) throw new Error('a header of the archive is too long')
    const body = await bytes.take(size)
    await bytes.take(pad(size))
    readBytes += size + pad(size)
    named = { ...named, ...namedBy(type, body) }
  }
}

function namedBy(type, body) {
  if (type === 'x') return recordsOf(body)
  if (type === 'L') return { path: textOf(body) }
  return type === 'K' ? { linkpath: textOf(body) } : {}
}

function memberOf({ header, type, named }) {
  const isUstar = header.subarray(257, 263).toString('latin1') === 'ustar\0'
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : ''
  const name = textOf(header.subarray(0, 100))
  const isSparse = type === 'S' || Object.keys(named).some((key) => key.startsWith('GNU.sparse'))
  return {
    path: named.path ?? (prefix ? `${prefix}/${name}` : name),
    target: named.linkpath ?? textOf(header.subarray(157, 257)),
    kind: isSparse ? 'special' : (kinds[type] ?? 'special'),
    mode: numberOf(header.subarray(100, 108)),
    size: named.size === undefined ? numberOf(header.subarray(124, 136)) : Number(named.size),
  }
}

/**
 * The members of an archive, in order, each with where its content begins. `body` is read to its end, or not at all, before the
 * next one is asked for.
 */
export async function* membersOf(stream) {
  const bytes = bytesOf(stream)
  let offset = 0
  for (let found = await headersOf(bytes); found; found = await headersOf(bytes)) {
    const member = memberOf(found)
    offset += found.readBytes
    let unread = member.size
    async function* body() {
      for await (const part of bytes.parts(member.size)) {
        unread -= part.length
        yield part
      }
    }
    yield { ...member, offset, body }
    if (unread > 0) for await (const part of bytes.parts(unread)) void part
    await bytes.take(pad(member.size))
    offset += member.size + pad(member.size)
  }
  // What follows the end is read, so that sums are of everything.
  while ((await bytes.take(64 * 1024)).length > 0);
}
