/**
 * How long a match of a regular expression can be, from its source: the window in which it runs must hold it. Counts
 * look-arounds as nothing, a reference as endless. `Infinity` for an unbounded quantifier.
 */
export function longestMatch(source: string): number {
  const reader = { source, at: 0 }
  const longest = readAlternatives(reader)
  if (reader.at < source.length) throw new SyntaxError(`not a pattern: ${source.slice(0, 80)}`)
  return longest
}

type Reader = { readonly source: string; at: number }

function readAlternatives(reader: Reader): number {
  let longest = readSequence(reader)
  while (reader.source.charAt(reader.at) === '|') {
    reader.at++
    longest = Math.max(longest, readSequence(reader))
  }
  return longest
}

function readSequence(reader: Reader): number {
  let sum = 0
  while (reader.at < reader.source.length && !'|)'.includes(reader.source.charAt(reader.at))) {
    const longest = readAtom(reader)
    const times = readTimes(reader)
    sum += longest === 0 || times === 0 ? 0 : longest * times
  }
  return sum
}

const sticky = (reader: Reader, pattern: RegExp): RegExpExecArray | null => {
  pattern.lastIndex = reader.at
  const match = pattern.exec(reader.source)
  if (match) reader.at = pattern.lastIndex
  return match
}

function readAtom(reader: Reader): number {
  if (sticky(reader, /\^|\$|\\[bB]/y)) return 0
  const group = sticky(reader, /\((?:\?(?:(?<look><?[=!])|:|<\w+>|[ims-]+:))?/y)
  if (group) {
    const longest = readAlternatives(reader)
    reader.at++
    return group.groups?.['look'] === undefined ? longest : 0
  }
  if (sticky(reader, /\\(?:[1-9]|k<)/y)) return Number.POSITIVE_INFINITY
  if (
    sticky(
      reader,
      /\[(?:\\[\s\S]|[^\]\\])*\]|\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{[^}]*\}|[\s\S])/y,
    )
  )
    return 1
  reader.at++
  return 1
}

function readTimes(reader: Reader): number {
  const match = sticky(reader, /(?:(?<sign>[*+?])|\{(?<least>\d+)(?<comma>,(?<most>\d*))?\})\??/y)
  if (!match) return 1
  const { sign, least, comma, most } = match.groups ?? {}
  if (sign === '?') return 1
  if (sign !== undefined || (comma !== undefined && most === '')) return Number.POSITIVE_INFINITY
  return Number(comma === undefined ? least : most)
}
