const months = 'January February March April May June July August September October November December'.split(
  ' ',
)
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')
const two = (value: number): string => String(value).padStart(2, '0')
const hour12 = (now: Date): number => now.getUTCHours() % 12 || 12

/** What each part of Go's reference time, "Mon Jan 2 15:04:05 MST 2006", stands for; longer parts first. */
const parts: readonly (readonly [string, (now: Date) => string])[] = [
  ['January', (now) => months[now.getUTCMonth()] ?? ''],
  ['Monday', (now) => days[now.getUTCDay()] ?? ''],
  ['2006', (now) => String(now.getUTCFullYear())],
  ['-07:00', () => '+00:00'],
  ['-0700', () => '+0000'],
  ['Z07:00', () => 'Z'],
  ['Jan', (now) => (months[now.getUTCMonth()] ?? '').slice(0, 3)],
  ['Mon', (now) => (days[now.getUTCDay()] ?? '').slice(0, 3)],
  ['MST', () => 'UTC'],
  ['000', (now) => String(now.getUTCMilliseconds()).padStart(3, '0')],
  ['01', (now) => two(now.getUTCMonth() + 1)],
  ['02', (now) => two(now.getUTCDate())],
  ['03', (now) => two(hour12(now))],
  ['04', (now) => two(now.getUTCMinutes())],
  ['05', (now) => two(now.getUTCSeconds())],
  ['06', (now) => two(now.getUTCFullYear() % 100)],
  ['15', (now) => two(now.getUTCHours())],
  ['PM', (now) => (now.getUTCHours() < 12 ? 'AM' : 'PM')],
  ['1', (now) => String(now.getUTCMonth() + 1)],
  ['2', (now) => String(now.getUTCDate())],
  ['3', (now) => String(hour12(now))],
  ['4', (now) => String(now.getUTCMinutes())],
  ['5', (now) => String(now.getUTCSeconds())],
]

/** A time in a layout of Go's `time` package, in UTC. */
export function formatGoTime(layout: string, now: Date): string {
  let text = ''
  let at = 0
  while (at < layout.length) {
    const found = parts.find(([name]) => layout.startsWith(name, at))
    text += found ? found[1](now) : layout[at]
    at += found ? found[0].length : 1
  }
  return text
}
