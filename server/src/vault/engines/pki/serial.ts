import { randomBytes } from 'node:crypto'
import { invalid } from '../record-fields.ts'

/** 20 bytes, the most that are allowed, of a number that is neither negative nor shorter. */
export function newSerial(): Buffer {
  const bytes = randomBytes(20)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes
}

/** `4f:0a:…`, as clients show and send it. */
export const printSerial = (bytes: Uint8Array): string => hexPairs(Buffer.from(bytes).toString('hex'))

export const hexPairs = (hex: string): string => hex.match(/../g)?.join(':') ?? ''

/** The name of a serial number in storage, from either of the forms that clients send. */
export function serialName(written: string): string {
  const hex = written.trim().toLowerCase().replace(/[:-]/g, '')
  if (!/^(?:[0-9a-f]{2}){1,32}$/.test(hex)) throw invalid(`"${written.slice(0, 100)}" is no serial number`)
  return hex
}
