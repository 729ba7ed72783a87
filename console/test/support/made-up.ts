import { createHash } from 'node:crypto'

const minute = 60_000
/** A moment so many minutes before now. */
export const ago = (minutes: number): string => new Date(Date.now() - minutes * minute).toISOString()
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
