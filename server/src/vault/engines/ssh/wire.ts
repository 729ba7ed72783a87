import { invalid } from '../record-fields.ts'

// How SSH writes things down (RFC 4251, 5): numbers of fixed size, and bytes with their length in front.

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

export function string(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}

/** A number that is not negative, from its bytes. */
export function mpint(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  return string(((digits[0] ?? 0) & 0x80) !== 0 ? Buffer.concat([Buffer.from([0]), digits]) : digits)
}

export type Reader = {
  uint32(): number
  string(): Buffer
  bytes(count: number): Buffer
  isAtEnd(): boolean
}

export function readerOf(bytes: Buffer): Reader {
  let at = 0
  function take(count: number): Buffer {
    if (at + count > bytes.length) throw invalid('failed to parse public_key as SSH key: it ends too early')
    at += count
    return bytes.subarray(at - count, at)
  }
  const number = (): number => take(4).readUInt32BE()
  return { uint32: number, string: () => take(number()), bytes: take, isAtEnd: () => at >= bytes.length }
}

export const withoutLeadingZeros = (bytes: Buffer): Buffer => {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  return bytes.subarray(start)
}
