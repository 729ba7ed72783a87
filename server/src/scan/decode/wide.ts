/** Texts of UTF-16 between other bytes, as lines of ASCII. */
type Wide = {
  readonly text: Buffer
  /** Where in the bytes a letter of the text stood. */
  originOf(at: number): number
}

/** Shorter ones hold no credential. */
const shortest = 16

const isPrintable = (byte: number | undefined): boolean => byte !== undefined && byte >= 32 && byte < 127

/** However a long enough text stands, two of its letters are met by steps of so many bytes: most are never read. */
const step = 2 * (shortest - 2)

/** Whether two letters stand here, each of a printable byte and a zero. */
function isWideAt(bytes: Buffer, at: number): boolean {
  const letter = bytes[at] === 0 ? at + 1 : at
  const zero = bytes[at] === 0 ? at : at + 1
  return (
    bytes[zero] === 0 && bytes[zero + 2] === 0 && isPrintable(bytes[letter]) && isPrintable(bytes[letter + 2])
  )
}

/** Where texts begin, and of how many letters. */
function* wideRuns(bytes: Buffer): Generator<{ at: number; length: number }> {
  let done = 0
  for (let at = 0; at + 3 < bytes.length; at += step) {
    if (at < done || !isWideAt(bytes, at)) continue
    let start = bytes[at] === 0 ? at + 1 : at
    let end = start
    while (start - 2 >= done && bytes[start - 1] === 0 && isPrintable(bytes[start - 2])) start -= 2
    while (bytes[end + 1] === 0 && isPrintable(bytes[end])) end += 2
    done = end
    if (end - start >= 2 * shortest) yield { at: start, length: (end - start) / 2 }
  }
}

/** Undefined where there are none. */
export function wideTexts(bytes: Buffer): Wide | undefined {
  const lines: { start: number; at: number; length: number }[] = []
  let total = 0
  for (const run of wideRuns(bytes)) {
    lines.push({ start: total, ...run })
    total += run.length + 1
  }
  if (lines.length === 0) return
  const text = Buffer.alloc(total, 10)
  for (const { start, at, length } of lines)
    for (let i = 0; i < length; i++) text[start + i] = bytes[at + 2 * i] as number
  return {
    text,
    originOf(at) {
      let [low, high] = [0, lines.length - 1]
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((lines[middle]?.start ?? 0) <= at) low = middle
        else high = middle - 1
      }
      const line = lines[low]
      return line ? line.at + 2 * (at - line.start) : 0
    },
  }
}
