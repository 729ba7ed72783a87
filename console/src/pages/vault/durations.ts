const units = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const

/** A span in at most two units: `2 h 30 min`. */
export function secondsText(seconds: number): string {
  const parts: string[] = []
  let left = seconds
  for (const [name, size] of units) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count} ${name}`)
    if (parts.length === 2) break
  }
  return parts.join(' ') || '0 s'
}

/** What a person types, in seconds: `90`, `15m`, `2h`, `1d`; empty is 0; undefined when it is none of them. */
export function secondsFrom(text: string): number | undefined {
  const [, count, unit = 's'] = /^\s*(\d+)\s*([smhd]?)\s*$/.exec(text) ?? []
  if (text.trim() === '') return 0
  if (count === undefined) return undefined
  return Number(count) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[unit || 's'] ?? 1)
}

/** As it is typed: the largest unit that divides it. */
export function secondsField(seconds: number): string {
  if (seconds === 0) return ''
  if (seconds % 86_400 === 0) return `${seconds / 86_400}d`
  if (seconds % 3600 === 0) return `${seconds / 3600}h`
  return seconds % 60 === 0 ? `${seconds / 60}m` : String(seconds)
}

export const usesText = (usesLeft: number): string =>
  usesLeft === 1 ? 'one use left' : `${usesLeft} uses left`
