import { AppError } from '../../../../core/index.ts'

// DER, the one way to write ASN.1 down (X.690). The reader takes nothing but what the writer could have written: one form for
// each length, no indefinite lengths, nothing left over.

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  enumerated: 0x0a,
  utf8: 0x0c,
  printable: 0x13,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const hex = body.length.toString(16)
  const length = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(tags.sequence, ...parts)
/** The members of a set stand in the order of their bytes. */
export const setOf = (...parts: readonly Uint8Array[]): Buffer =>
  der(tags.set, ...[...parts].sort(Buffer.compare))
export const octets = (bytes: Uint8Array): Buffer => der(tags.octetString, bytes)
export const bits = (bytes: Uint8Array, unused = 0): Buffer =>
  der(tags.bitString, Buffer.from([unused]), bytes)
export const yes = der(tags.boolean, Buffer.from([0xff]))
export const nothing = der(tags.null)
export const text = (tag: number, value: string): Buffer => der(tag, Buffer.from(value, 'utf8'))
/** `[number]`: `explicit` wraps whole values, `implicit` takes the place of a value's own tag. */
export const explicit = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  der(0xa0 | number, ...parts)
export const implicit = (number: number, bytes: Uint8Array): Buffer => der(0x80 | number, bytes)

/** A whole number that is not negative, from its bytes. */
export function unsigned(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  const needsSign = digits.length === 0 || ((digits[0] ?? 0) & 0x80) !== 0
  return der(tags.integer, needsSign ? Buffer.from([0]) : Buffer.alloc(0), digits)
}

export const integer = (value: number): Buffer => {
  const hex = value.toString(16)
  return unsigned(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'))
}

export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left % 128) | 0x80)
    bytes.push(...groups)
  }
  return der(tags.objectId, Buffer.from(bytes))
}

export const isObjectId = (dotted: string): boolean =>
  /^(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9]\d{0,8}))(?:\.(?:0|[1-9]\d{0,14}))+$/.test(dotted)

const untilUtcTimeEnds = Date.UTC(2050, 0)

/** UTCTime until the year 2049, GeneralizedTime after it (RFC 5280, 4.1.2.5). */
export function time(at: Date): Buffer {
  return at.getTime() < untilUtcTimeEnds && at.getUTCFullYear() >= 1950
    ? text(tags.utcTime, `${digitsOf(at).slice(2)}Z`)
    : generalizedTime(at)
}

export const generalizedTime = (at: Date): Buffer => text(tags.generalizedTime, `${digitsOf(at)}Z`)

const digitsOf = (at: Date): string => at.toISOString().replace(/[-:T]/g, '').slice(0, 14)

/** One value as it was read. `whole` has its tag and length, `content` has not. */
export type Node = { readonly tag: number; readonly whole: Buffer; readonly content: Buffer }

export const malformed = (what: string): AppError =>
  new AppError('request.invalid', `malformed ASN.1: ${what}`)

/** The one value that `bytes` holds. */
export function readOne(bytes: Buffer): Node {
  const [node, ...more] = readAll(bytes)
  if (!node || more.length > 0) throw malformed('one value was expected')
  return node
}

/** The values that `bytes` holds, one after the other. */
export function readAll(bytes: Buffer): Node[] {
  const nodes: Node[] = []
  for (let at = 0; at < bytes.length; ) {
    const node = readAt(bytes, at)
    nodes.push(node)
    at += node.whole.length
  }
  return nodes
}

function readAt(bytes: Buffer, start: number): Node {
  const tag = bytes[start] ?? 0
  const first = bytes[start + 1]
  if (first === undefined || (tag & 0x1f) === 0x1f) throw malformed('a tag that is not expected')
  let from = start + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 4 || from + count > bytes.length) throw malformed('a length')
    length = bytes.readUIntBE(from, count)
    if (length < 0x80 || bytes[from] === 0) throw malformed('a length that is not the shortest')
    from += count
  }
  if (from + length > bytes.length) throw malformed('it ends too early')
  return { tag, whole: bytes.subarray(start, from + length), content: bytes.subarray(from, from + length) }
}

/** What is inside of a value that has this tag. */
export function inside(node: Node | undefined, tag: number = tags.sequence): Node[] {
  return readAll(expect(node, tag).content)
}

export function expect(node: Node | undefined, tag: number): Node {
  if (node?.tag !== tag) throw malformed(`tag ${tag} was expected`)
  return node
}

export function readObjectId(node: Node | undefined): string {
  const { content } = expect(node, tags.objectId)
  const arcs: number[] = []
  let arc = 0
  for (const [at, byte] of content.entries()) {
    arc = arc * 128 + (byte & 0x7f)
    if (!Number.isSafeInteger(arc) || (byte === 0x80 && (at === 0 || (content[at - 1] ?? 0) < 0x80)))
      throw malformed('an object identifier')
    if (byte < 0x80) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [head, ...rest] = arcs
  if (head === undefined || (content.at(-1) ?? 0) >= 0x80) throw malformed('an object identifier')
  const first = Math.min(2, Math.floor(head / 40))
  return [first, head - first * 40, ...rest].join('.')
}

/** The bytes of a whole number that is not negative, without leading zeros. */
export function readUnsigned(node: Node | undefined): Buffer {
  const { content } = expect(node, tags.integer)
  const [first, second] = content
  if (first === undefined || first >= 0x80) throw malformed('a number that is negative or empty')
  if (first === 0 && second !== undefined && second < 0x80)
    throw malformed('a number that is not the shortest')
  return content.length > 1 && first === 0 ? content.subarray(1) : content
}

export function readSmall(node: Node | undefined): number {
  const bytes = readUnsigned(node)
  if (bytes.length > 4) throw malformed('a number that is too large')
  return bytes.readUIntBE(0, bytes.length)
}

export function readBoolean(node: Node | undefined): boolean {
  const { content } = expect(node, tags.boolean)
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw malformed('a truth value')
  return content[0] === 0xff
}

/** The bytes of a bit string, and how many bits of the last one do not count. */
export function readBits(node: Node | undefined): { bytes: Buffer; unused: number } {
  const { content } = expect(node, tags.bitString)
  const [unused] = content
  if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1))
    throw malformed('a bit string')
  return { bytes: content.subarray(1), unused }
}

export function readTime(node: Node | undefined): Date {
  const short = node?.tag === tags.utcTime
  const digits = expect(node, short ? tags.utcTime : tags.generalizedTime).content.toString('latin1')
  if (!(short ? /^\d{12}Z$/ : /^\d{14}Z$/).test(digits)) throw malformed('a time')
  const century = Number(digits.slice(0, 2)) >= 50 ? '19' : '20'
  const [year = '', ...rest] = (short ? century + digits : digits).match(/^\d{4}|\d{2}/g) ?? []
  const [month, day, hour, minute, second] = rest
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(at.getTime())) throw malformed('a time')
  return at
}

const textTags: ReadonlySet<number> = new Set([tags.utf8, tags.printable, tags.ia5, 0x14])

/** The text of the string types that certificates use; undefined for anything else. */
export function readText(node: Node): string | undefined {
  if (textTags.has(node.tag)) return node.content.toString('utf8')
  // BMPString: two bytes a character, the larger first.
  if (node.tag === 0x1e && node.content.length % 2 === 0)
    return Buffer.from(node.content).swap16().toString('utf16le')
  return undefined
}
