/** A stretch of a file that may be an encoding of something else. */
export type Run = { readonly start: number; readonly end: number }

/** Shorter ones hold no credential. */
const shortestRun = 24
/** A line of so many characters, then another: base64 that was wrapped. */
const wrappedLine = 60
const longestRunBytes = 4 * 1024 * 1024

const alphabet = tableOf(/[A-Za-z0-9+/_-]/)
/** What stands in one part of an address: `&`, `=` and `?` are between two. */
const addressPart = tableOf(/[\w.~%+*!():@/$-]/)

function tableOf(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    Number(byte < 128 && characters.test(String.fromCharCode(byte))),
  )
}

/**
 * Every long run of the letters of base64, which those of hex are among. Looks at every 24th byte first: where that is
 * none of them, no run of that length can be around, so most bytes are never read.
 */
export function* base64Runs(bytes: Buffer, from: number, to: number): Generator<Run> {
  let start = from
  while (start + shortestRun <= to) {
    let at = start + shortestRun - 1
    while (at >= start && alphabet[bytes[at] as number] === 1) at--
    if (at >= start) {
      start = at + 1
      continue
    }
    const end = endOfRun(bytes, start, to)
    yield { start, end }
    start = end + 1
  }
}

function endOfRun(bytes: Buffer, start: number, to: number): number {
  const last = Math.min(to, start + longestRunBytes)
  let end = endOfLetters(bytes, start, last)
  const lineBytes = end - start
  for (let next = lineBytes < wrappedLine ? undefined : nextLine(bytes, end); next !== undefined; ) {
    const lineEnd = endOfLetters(bytes, next, last)
    // All lines but the last are as long as the first, and the last ends a group of four letters.
    const isLast = lineEnd - next < lineBytes && lineEnd > next && (lineEnd - next) % 4 === 0
    if (lineEnd - next !== lineBytes && !isLast) break
    end = lineEnd
    next = isLast ? undefined : nextLine(bytes, end)
  }
  return end
}

/** With the signs that fill up the last group. */
function endOfLetters(bytes: Buffer, start: number, last: number): number {
  let end = start
  while (end < last && alphabet[bytes[end] as number] === 1) end++
  while (end < last && bytes[end] === 61) end++
  return end
}

/** Where the text of the next line begins, when a line ends at `at`. */
function nextLine(bytes: Buffer, at: number): number | undefined {
  let next = at
  if (bytes[next] === 13) next++
  if (bytes[next] !== 10) return
  next++
  const indented = next + 32
  while (next < indented && (bytes[next] === 32 || bytes[next] === 9)) next++
  return next
}

/** The percent-encoded text around a byte of it. */
export function urlRun(bytes: Buffer, at: number): Run {
  const reach = 16_384
  let start = at
  while (start > 0 && at - start < reach && addressPart[bytes[start - 1] as number] === 1) start--
  let end = at
  while (end < bytes.length && end - at < reach && addressPart[bytes[end] as number] === 1) end++
  return { start, end }
}
