// Numbers from a seed, the same on every machine, and what is made of them. Nothing here is a literal secret: every
// value is put together when the set is made.

export type Draw = {
  below(limit: number): number
  pick<T>(from: readonly T[]): T
  chars(alphabet: string, length: number): string
  chance(percent: number): boolean
}

/** xorshift32, warmed up so that near seeds differ. */
export function createDraw(seed: number): Draw {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  for (let i = 0; i < 8; i++) next()
  const below = (limit: number): number => next() % limit
  return {
    below,
    pick: (from) => {
      const found = from[below(from.length)]
      if (found === undefined) throw new RangeError('nothing to pick from')
      return found
    },
    chars: (alphabet, length) =>
      Array.from({ length }, () => alphabet.charAt(below(alphabet.length))).join(''),
    chance: (percent) => below(100) < percent,
  }
}

export const alphabets = {
  lower: 'abcdefghijklmnopqrstuvwxyz',
  upper: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  digits: '0123456789',
  hex: '0123456789abcdef',
  base36: 'abcdefghijklmnopqrstuvwxyz0123456789',
  base62: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  base64: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  url: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
  symbols: '!@#%^*-_+=?.,:~',
  keyboard: '!@#%^*-_+=?.,:~$&()[]{}<>;|/',
} as const

/** A name of several words, written as the place wants it. */
export type Name = readonly string[]
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
export const written: Record<string, (name: Name) => string> = {
  '%K': (name) => name.join('_').toUpperCase(),
  '%k': (name) => name.join('_'),
  '%c': (name) => name.map((word, at) => (at === 0 ? word : capital(word))).join(''),
  '%P': (name) => name.map(capital).join(''),
  '%d': (name) => name.join('-'),
  '%o': (name) => name.join('.'),
  '%H': (name) => name.map(capital).join('-'),
}
