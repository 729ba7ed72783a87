import { columnsOf, printable, shorten } from './printable.ts'

export type Column<Row> = {
  readonly title: string
  readonly value: (row: Row) => string | number | null | undefined
  readonly align?: 'right'
  /** May be cut when the terminal is too narrow. An id never may: people copy it. */
  readonly shrink?: boolean
  readonly paint?: (text: string, row: Row) => string
}

const gap = '  '
const narrowest = 8

/** Aligned columns. With a width, columns that may shrink are cut to fit; without one (a pipe) everything is written. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): string {
  const cells = rows.map((row) => columns.map(({ value }) => printable(String(value(row) ?? '-'))))
  const natural = columns.map(({ title }, i) =>
    cells.reduce((widest, line) => Math.max(widest, columnsOf(line[i] ?? '')), title.length),
  )
  const widths = width === undefined ? natural : fit(columns, natural, width)
  const lines = [columns.map(({ title }) => title.toUpperCase()), ...cells].map((line, index) =>
    columns
      .map((column, i) => {
        const text = shorten(line[i] ?? '', widths[i] ?? 0)
        const last = i === columns.length - 1
        const padded = pad(text, widths[i] ?? 0, column.align, last)
        const row = rows[index - 1]
        return index > 0 && row !== undefined && column.paint ? column.paint(padded, row) : padded
      })
      .join(gap),
  )
  return lines.map((line) => `${line}\n`).join('')
}

function pad(text: string, width: number, align: 'right' | undefined, last: boolean): string {
  const space = ' '.repeat(Math.max(0, width - columnsOf(text)))
  if (align === 'right') return space + text
  return last ? text : text + space
}

/** Takes what is too much from the widest columns that may shrink, evenly. */
function fit<Row>(columns: readonly Column<Row>[], natural: readonly number[], width: number): number[] {
  const widths = [...natural]
  let excess = widths.reduce((sum, each) => sum + each, 0) + gap.length * (columns.length - 1) - width
  while (excess > 0) {
    let widest = -1
    columns.forEach(({ shrink }, i) => {
      const size = widths[i] ?? 0
      if (shrink && size > narrowest && size > (widths[widest] ?? 0)) widest = i
    })
    if (widest < 0) break
    widths[widest] = (widths[widest] ?? 0) - 1
    excess -= 1
  }
  return widths
}

/** One thing and its properties, a line each. */
export function renderFacts(
  facts: readonly (readonly [string, string | number | null | undefined])[],
): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts
    .map(([name, value]) => `${name.padEnd(width)}${gap}${printable(String(value ?? '-'))}\n`)
    .join('')
}
