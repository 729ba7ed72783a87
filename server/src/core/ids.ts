import { randomBytes, randomUUID } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** An id that sorts by time: `<prefix>_` + 10 characters of milliseconds + 16 random ones (80 bits). */
export function newId(prefix: string, now: Date): string {
  let time = now.getTime()
  let head = ''
  for (let i = 0; i < 10; i++) {
    head = alphabet[time % 32] + head
    time = Math.floor(time / 32)
  }
  let tail = ''
  for (const byte of randomBytes(16)) tail += alphabet[byte % 32]
  return `${prefix}_${head}${tail}`
}

/** A UUID that sorts by time (version 7, RFC 9562), so that an index over many of them grows at its end. */
export function newUuid(now: Date): string {
  const time = now.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}
