const units = ['B', 'KiB', 'MiB', 'GiB'] as const
const step = 1024

/** `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const unit = Math.min(units.length - 1, bytes < step ? 0 : Math.floor(Math.log(bytes) / Math.log(step)))
  const amount = bytes / step ** unit
  return `${amount < 10 && unit > 0 ? amount.toFixed(1) : Math.round(amount)} ${units[unit] ?? ''}`
}

/** `4.2 s`, `12 min`. */
export function secondsText(seconds: number): string {
  if (seconds >= 120) return `${Math.round(seconds / 60)} min`
  return `${seconds < 10 && !Number.isInteger(seconds) ? seconds.toFixed(1) : Math.round(seconds)} s`
}
