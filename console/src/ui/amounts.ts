const units = ['B', 'KiB', 'MiB', 'GiB'] as const
const step = 1024

/** `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const unit = Math.min(units.length - 1, bytes < step ? 0 : Math.floor(Math.log(bytes) / Math.log(step)))
  const amount = bytes / step ** unit
  return `${amount < 10 && unit > 0 ? amount.toFixed(1) : Math.round(amount)} ${units[unit] ?? ''}`
}

const longer = [
  ['d', 86_400, 'h', 3600],
  ['h', 3600, 'min', 60],
  ['min', 60, 's', 1],
] as const

/** `340 ms`, `42 s`, `3 min 20 s`, `2 d 4 h`. */
export function spanText(exact: number): string {
  if (exact > 0 && exact < 1) return `${Math.round(exact * 1000)} ms`
  const seconds = exact < 10 ? exact : Math.round(exact)
  for (const [unit, size, part, partSize] of longer) {
    if (seconds < size) continue
    const rest = Math.floor((seconds % size) / partSize)
    return `${Math.floor(seconds / size)} ${unit}${rest > 0 ? ` ${rest} ${part}` : ''}`
  }
  return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`
}
