import { randomBytes } from 'node:crypto'

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
