import { randomUUID } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** An id that sorts by time: `<prefix>_` + 10 characters of milliseconds + 16 random ones (80 bits). */
export function newId(prefix: string, now: Date): string {
  // Node draws the randomness of UUIDs in large pieces, which is several times as fast as asking for each id. None of the
  // digits taken is the version's or the variant's.
  const uuid = randomUUID()
  const random = fourOf(uuid, 0, 5) + fourOf(uuid, 5, 11) + fourOf(uuid, 24, 29) + fourOf(uuid, 29, 34)
  const time = now.getTime()
  const [high, low] = [Math.floor(time / 2 ** 20), time % 2 ** 20]
  return `${prefix}_${inAlphabet(high, 6)}${inAlphabet(low, 4)}${random}`
}

/** Five hexadecimal digits, with a dash or without, as four characters. */
function fourOf(uuid: string, from: number, to: number): string {
  let value = 0
  for (let at = from; at < to; at++) {
    const code = uuid.charCodeAt(at)
    if (code !== dash) value = value * 16 + (code > nine ? code - beforeA : code - zero)
  }
  return inAlphabet(value, 4)
}
const [dash, zero, nine, beforeA] = [45, 48, 57, 87]

/** Five bits a character. At most 30 bits, which the processor shifts in one step. */
function inAlphabet(value: number, length: number): string {
  let text = ''
  for (let shift = 5 * (length - 1); shift >= 0; shift -= 5) text += alphabet[(value >> shift) & 31]
  return text
}

/** A UUID that sorts by time (version 7, RFC 9562), so that an index over many of them grows at its end. */
export function newUuid(now: Date): string {
  const time = now.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}
