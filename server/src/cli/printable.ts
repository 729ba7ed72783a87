import { stripVTControlCharacters } from 'node:util'

// Controls (C0, DEL, C1), and the marks that reorder or hide text for the eye: bidirectional overrides and zero width.
const unsafe = /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu

/** Data on one line of a terminal: a control character is shown as an escape, and so can neither act nor hide text. */
export function printable(text: string): string {
  return text.replace(unsafe, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The same for text of several lines. */
export const printableLines = (text: string): string => text.split(/\r?\n/).map(printable).join('\n')

/** JSON that a terminal cannot be driven by: JSON escapes C0 only; C1 and the marks are escaped too. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(unsafe, (char) =>
    char === '\n' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const wide =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff01-\uff60]/u
const emoji = /\p{Emoji_Presentation}/u
const mark = /^\p{M}/u
/** Made when it is needed: the first one loads tables for 8 ms. */
const graphemesOf = (text: string) => new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text)

const columnsOfGrapheme = (grapheme: string): number => {
  if (mark.test(grapheme)) return 0
  return wide.test(grapheme) || emoji.test(grapheme) ? 2 : 1
}

/** Columns that a text takes on a terminal; colours take none. */
export function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const { segment } of graphemesOf(stripVTControlCharacters(text))) columns += columnsOfGrapheme(segment)
  return columns
}

/** The text cut to so many columns, with `…` for what is missing. */
export function shorten(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  let kept = ''
  let used = 1
  for (const { segment } of graphemesOf(text)) {
    used += columnsOfGrapheme(segment)
    if (used > columns) break
    kept += segment
  }
  return `${kept}…`
}
