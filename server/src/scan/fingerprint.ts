import { createHmac, type KeyObject } from 'node:crypto'

/** Private keys are compared by their base64 body, so that a PEM file and its copy inside JSON are one value. */
function familyAndBody(value: string): string {
  if (!value.startsWith('-----BEGIN ')) return `text\0${value}`
  const lines = value.split(/\s*\n\s*/).filter((line) => !line.startsWith('-----') && !line.includes(':'))
  return `pem\0${lines.join('')}`
}

/** Names a value without giving it away: nobody without the key can test a guess against it. */
export function fingerprintOf(key: KeyObject, value: string): string {
  return `kf1_${createHmac('sha256', key).update(familyAndBody(value)).digest('hex').slice(0, 32)}`
}

const stars = '****'

/**
 * Enough of a value to recognise it by, never enough to use it: at most a quarter of a long one, nothing of a short one
 * or, with `ends` false, of one that a person may have thought up.
 */
export function maskOf(value: string, ends = true): string {
  const pem = /^-----BEGIN [A-Z0-9 ]{1,40}-----/.exec(value)
  if (pem) return `${pem[0]}${stars}`
  const url = /^([a-z][a-z0-9+.-]{1,20}:\/\/)([^\s/?#@:]{0,64}):[^\s]{1,500}@([^\s/?#@]{1,100})/i.exec(value)
  if (url) return printable(`${url[1]}${url[2]}:${stars}@${url[3]}`)
  if (!ends || value.length < 16) return stars
  const shown = Math.min(4, Math.floor(value.length / 8))
  return `${printable(value.slice(0, shown))}${stars}${printable(value.slice(-shown))}`
}

const printable = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?')
