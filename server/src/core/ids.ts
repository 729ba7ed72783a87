import { randomFillSync, randomUUID } from 'node:crypto'

/** Of the alphabet `0123456789abcdefghjkmnpqrstvwxyz`. */
const characters = Uint8Array.from('0123456789abcdefghjkmnpqrstvwxyz', (character) => character.charCodeAt(0))

/** An id that sorts by time: `<prefix>_` + 10 characters of milliseconds + 16 random ones (80 bits). */
export function newId(prefix: string, now: Date): string {
  // Node draws the randomness of UUIDs in large pieces, which is several times as fast as asking for each id. None of the
  // digits taken is the version's or the variant's.
  const uuid = randomUUID()
  return (
    `${prefix}_` +
    tenOfTime(now.getTime()) +
    eight(fiveDigits(uuid, 0, 5), fiveDigits(uuid, 5, 11)) +
    eight(fiveDigits(uuid, 24, 29), fiveDigits(uuid, 29, 34))
  )
}

function tenOfTime(time: number): string {
  const high = Math.floor(time / 2 ** 40)
  const middle = Math.floor(time / 2 ** 20) & 0xf_ffff
  const low = time % 2 ** 20
  return String.fromCharCode(character(high >> 5), character(high)) + eight(middle, low)
}

/** Five hexadecimal digits, with a dash or without. */
function fiveDigits(uuid: string, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) {
    const code = uuid.charCodeAt(at)
    if (code !== dash) value = value * 16 + (code > nine ? code - beforeA : code - zero)
  }
  return value
}
const [dash, zero, nine, beforeA] = [45, 48, 57, 87]

/** Five bits a character. */
const character = (value: number): number => characters[value & 31] ?? 0

/** Twenty bits each. At once: a text that grows character by character is a text for each of them. */
const eight = (first: number, second: number): string =>
  String.fromCharCode(
    character(first >> 15),
    character(first >> 10),
    character(first >> 5),
    character(first),
    character(second >> 15),
    character(second >> 10),
    character(second >> 5),
    character(second),
  )

/** A UUID that sorts by time (version 7, RFC 9562), so that an index over many of them grows at its end. */
export function newUuid(now: Date): string {
  return `${uuidOfTime(now.getTime())}${randomUUID().slice(15)}`
}

function uuidOfTime(time: number): string {
  const high = Math.floor(time / 2 ** 16)
  return `${hexadecimal(high >>> 16)}${hexadecimal(high)}-${hexadecimal(time % 2 ** 16)}-7`
}

/** Sixteen bits in four digits, which are the first of the alphabet. */
const hexadecimal = (value: number): string =>
  String.fromCharCode(
    character((value >> 12) & 15),
    character((value >> 8) & 15),
    character((value >> 4) & 15),
    character(value & 15),
  )

type Ids = { readonly id: typeof newId; readonly uuid: typeof newUuid }

const drawnAtOnce = 4000
const bytesOfEach = 10

/** Makes both, for who makes one after the other: randomness is drawn in large pieces, and what says the time is kept for its millisecond. */
export function createIds(): Ids {
  const drawn = new Uint8Array(drawnAtOnce)
  let used = drawn.length
  const ofId = keptFor(tenOfTime)
  const ofUuid = keptFor(uuidOfTime)

  /** Where ten bytes lie that were not given out before. */
  function draw(): number {
    if (used === drawn.length) {
      randomFillSync(drawn)
      used = 0
    }
    used += bytesOfEach
    return used - bytesOfEach
  }
  const byte = (at: number): number => drawn[at] ?? 0
  const twenty = (at: number): number => (byte(at) << 12) | (byte(at + 1) << 4) | (byte(at + 2) >> 4)
  const twentyAfter = (at: number): number => ((byte(at + 2) & 15) << 16) | (byte(at + 3) << 8) | byte(at + 4)

  return {
    id(prefix, now) {
      const at = draw()
      const random = eight(twenty(at), twentyAfter(at)) + eight(twenty(at + 5), twentyAfter(at + 5))
      return `${prefix}_${ofId(now.getTime())}${random}`
    },
    uuid(now) {
      const at = draw()
      return ofUuid(now.getTime()) + uuidOfBytes(drawn, at)
    },
  }
}

/** What was made last, as long as the time is the same. */
function keptFor(make: (time: number) => string): (time: number) => string {
  let last = Number.NaN
  let text = ''
  return (time) => {
    if (time !== last) {
      last = time
      text = make(time)
    }
    return text
  }
}

/** What comes after the version, from ten bytes. The first of the variant's four digits are 8 to b. */
function uuidOfBytes(bytes: Uint8Array, at: number): string {
  const high = (offset: number): number => character((bytes[at + offset] ?? 0) >> 4)
  const low = (offset: number): number => character((bytes[at + offset] ?? 0) & 15)
  return String.fromCharCode(
    high(0),
    low(0),
    high(1),
    dash,
    character(8 + ((bytes[at + 1] ?? 0) & 3)),
    high(2),
    low(2),
    high(3),
    dash,
    high(4),
    low(4),
    high(5),
    low(5),
    high(6),
    low(6),
    high(7),
    low(7),
    high(8),
    low(8),
    high(9),
    low(9),
  )
}
