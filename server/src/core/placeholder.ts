import { randomInt } from 'node:crypto'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Begins a placeholder that has the form of its tool's keys, which may know no `_`. No word has it, and random text once in 62^8 places. */
const mark = 'kWpL8hXq'
const headLength = mark.length + 1

/** How many letters and digits a placeholder of a form may have: at least 65 bits of it are random. */
export const formedLengths = { least: 20, most: 70 }

/** A placeholder of so many letters and digits, for forms of that length. It says itself how long it is. */
export function formedPlaceholder(length: number, below: (limit: number) => number = randomInt): string {
  const drawn = Array.from({ length: length - headLength }, () => base62.charAt(below(base62.length)))
  return mark + base62.charAt(drawn.length) + drawn.join('')
}

/** The egress proxy's process knows them by expressions of its own: it loads nothing of ours but its folder. */
const shape = /^[\w.-]{0,40}?(?:kwp_[0-9A-Za-z]{32}|AKIAKEYW[A-Z2-7]{12}|kWpL8hXq[0-9A-Za-z]{12,62})$/

/** Whether a value is a placeholder of Keyward, after a prefix: no secret, and of no use to anybody but its agent. */
export const isPlaceholder = (value: string): boolean => shape.test(value)
