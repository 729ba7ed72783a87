import { randomUUID } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** An id that sorts by time: `<prefix>_` + 10 characters of milliseconds + 16 random ones (80 bits). */
export function newId(prefix: string, now: Date): string {
  // Node draws the randomness of UUIDs in large pieces, which is several times as fast as asking for each id. None of the
  // digits taken is the version's or the variant's.
  const uuid = randomUUID()
  const first = Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 11), 16)
  const second = Number.parseInt(uuid.slice(24, 34), 16)
  return `${prefix}_${inAlphabet(now.getTime(), 10)}${inAlphabet(first, 8)}${inAlphabet(second, 8)}`
}

/** Five bits a character, the last one first. */
function inAlphabet(value: number, length: number): string {
  let text = ''
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = alphabet[rest % 32] + text
  return text
}

/** A UUID that sorts by time (version 7, RFC 9562), so that an index over many of them grows at its end. */
export function newUuid(now: Date): string {
  const time = now.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}
