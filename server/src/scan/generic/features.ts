import { entropyOf, mixOf } from '../checks.ts'

/** What the model sees of a value. `kind` is what the key says: a password, a token, or a loose `…_key`. */
export type Sight = { readonly value: string; readonly kind: 'password' | 'token' | 'loose' }

/** Every feature is a number below this: a cell of the weights. */
export const cells = 1 << 14

/** FNV-1a, folded to the cells. */
function cellOf(feature: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < feature.length; at++) {
    hash = Math.imul(hash ^ feature.charCodeAt(at), 0x01000193)
  }
  return ((hash >>> 13) ^ hash) & (cells - 1)
}

const bucket = (value: number, bounds: readonly number[]): number => {
  const at = bounds.findIndex((bound) => value < bound)
  return at < 0 ? bounds.length : at
}

/** Each run of letters as `a` (or `A`, `Aa`), of digits as `0`, all else as it stands: `Summer2024!` → `Aa0!`. */
const outlineOf = (value: string): string =>
  value
    .replace(/[A-Z][a-z]+|[A-Z]+|[a-z]+|\d+/g, (run) => {
      if (/^\d/.test(run)) return '0'
      if (/^[a-z]/.test(run)) return 'a'
      return /[a-z]$/.test(run) ? 'Aa' : 'A'
    })
    .slice(0, 24)

const lengthsOf = (value: string, run: RegExp): number =>
  Math.max(0, ...(value.match(run) ?? []).map((each) => each.length))

function dense(value: string): string[] {
  const digits = value.replace(/\D/g, '').length / value.length
  const symbols = value.replace(/[A-Za-z0-9]/g, '')
  return [
    `length ${bucket(value.length, [6, 7, 8, 9, 11, 13, 16, 20, 24, 32, 33, 40, 41, 64, 65])}`,
    `entropy ${bucket(entropyOf(value), [1.5, 2, 2.4, 2.8, 3.1, 3.4, 3.8, 4.2, 4.7])}`,
    `digits ${bucket(digits, [0.001, 0.1, 0.2, 0.35, 0.5, 0.75, 0.999])}`,
    `mix ${bucket(mixOf(value), [0.001, 0.06, 0.12, 0.2, 0.3, 0.4, 0.55])}`,
    `symbols ${symbols === '' ? 'none' : /^[-_./: ]+$/.test(symbols) ? 'joins' : /[(){}<>[\],;|\\]/.test(symbols) ? 'code' : 'strong'}`,
    `joins ${bucket(value.split(/[-_./: ]/).length, [2, 3, 4, 6])}`,
    `letters ${bucket(lengthsOf(value, /[a-z]+/gi), [2, 4, 6, 9, 13])}`,
    `consonants ${bucket(lengthsOf(value, /[bcdfghjklmnpqrstvwxz]+/gi), [3, 4, 5, 6])}`,
    `outline ${outlineOf(value)}`,
    `ends ${/\d$/.test(value) ? 'digit' : /[a-z]$/i.test(value) ? 'letter' : 'symbol'}`,
    `form ${/^[0-9a-f]+$/i.test(value) ? 'hex' : /^[A-Za-z0-9+/_-]+={0,2}$/.test(value) ? 'base64' : 'other'}`,
  ]
}

/** Three characters in a row say whether it is a word. */
function grams(value: string): string[] {
  const text = `^${value.slice(0, 40).toLowerCase().replace(/\d/g, '0')}$`
  const found = new Set<string>()
  for (let at = 0; at + 3 <= text.length; at++) found.add(`gram ${text.slice(at, at + 3)}`)
  return [...found]
}

/** A cell, and how much it counts. */
export type Feature = readonly [cell: number, strength: number]

/** What a value shows. In a long one each three characters count for less, or a few chance words would decide. */
export function featuresOf({ value, kind }: Sight): Feature[] {
  const features = dense(value)
  const crossed = features.map((feature) => `${kind} ${feature}`)
  const parts = grams(value)
  const strength = Math.min(1, 8 / parts.length)
  return [
    ...[`kind ${kind}`, ...features, ...crossed].map((feature): Feature => [cellOf(feature), 1]),
    ...parts.map((gram): Feature => [cellOf(gram), strength]),
  ]
}
