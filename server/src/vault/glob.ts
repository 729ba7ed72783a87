/**
 * `*` stands for any characters, also none; everything else for itself. In one pass, because whoever chooses the value could
 * keep a regular expression with several stars busy for hours.
 */
export function fitsGlob(pattern: string, value: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return pattern === value
  if (!value.startsWith(first) || value.length < first.length + last.length) return false
  const end = value.length - last.length
  let at = first.length
  for (const part of rest) {
    const found = value.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return value.endsWith(last)
}
