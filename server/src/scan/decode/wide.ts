/** Texts of UTF-16 between other bytes, as lines of ASCII. */
type Wide = {
  readonly text: Buffer
  /** Where in the bytes a letter of the text stood. */
  originOf(at: number): number
}

/** Shorter ones hold no credential. */
const shortest = 16

const isPrintable = (byte: number | undefined): boolean => byte !== undefined && byte >= 32 && byte < 127

/** Undefined where there are none. */
export function wideTexts(bytes: Buffer): Wide | undefined {
  const lines: { start: number; at: number; length: number }[] = []
  let total = 0
  for (let at = 0; at + 1 < bytes.length; ) {
    let end = at
    while (bytes[end + 1] === 0 && isPrintable(bytes[end])) end += 2
    const length = (end - at) / 2
    if (length >= shortest) {
      lines.push({ start: total, at, length })
      total += length + 1
    }
    at = end > at ? end : at + 1
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
