import { createHash, type Hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type { AuditHead } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { CopiedTable, SqlValue } from '../store/index.ts'

/** What stands in front of everything else. */
export type Header = {
  readonly format: 'keyward-backup'
  readonly version: 1
  readonly createdAt: string
  readonly program: string
  readonly dialect: string
  readonly migrations: readonly string[]
  /** The audit log's end as it was signed just before; absent while the vault is sealed. */
  readonly head: AuditHead | null
  /** Files of the data folder that belong to it, by name, in base64. */
  readonly files: Readonly<Record<string, string>>
}

export type Totals = Readonly<Record<string, { readonly rows: number; readonly sha256: string }>>
export type Part = {
  readonly table: string
  readonly columns: readonly string[]
  readonly rows: SqlValue[][]
}

type TableLine = { readonly table: string; readonly columns: readonly string[] }
type EndLine = { readonly end: Totals }

/**
 * One line of JSON each: the header; then, table by table, its name and columns and chunks of its rows; at the end how many rows
 * each had and their SHA-256. Compressed. Nothing in it depends on the database that it came from.
 */
export function writeArchive(header: Header, tables: readonly CopiedTable[]): AsyncIterable<Uint8Array> {
  return Readable.from(linesOf(header, tables)).pipe(createGzip({ level: 1 }))
}

async function* linesOf(header: Header, tables: readonly CopiedTable[]): AsyncIterable<string> {
  yield `${JSON.stringify(header)}\n`
  const totals: Record<string, { rows: number; sha256: string }> = {}
  for (const { name, columns, rows } of tables) {
    yield `${JSON.stringify({ table: name, columns } satisfies TableLine)}\n`
    const digest = createHash('sha256')
    let count = 0
    for await (const chunk of rows()) {
      const line = JSON.stringify(chunk.map((row) => row.map(written)))
      digest.update(line)
      count += chunk.length
      yield `${line}\n`
    }
    totals[name] = { rows: count, sha256: digest.digest('hex') }
  }
  yield `${JSON.stringify({ end: totals } satisfies EndLine)}\n`
}

const written = (value: SqlValue): unknown =>
  value instanceof Uint8Array ? { b: Buffer.from(value).toString('base64') } : value

export type OpenArchive = {
  readonly header: Header
  /** To be read to its end: only then is it known that nothing is missing or different. */
  readonly parts: AsyncIterable<Part>
  /** After the end. */
  totals(): Totals
}

export async function readArchive(bytes: AsyncIterable<Uint8Array>): Promise<OpenArchive> {
  const lines = linesFrom(bytes)
  const header = headerFrom((await lines.next()).value)
  let totals: Totals = {}
  return {
    header,
    parts: partsFrom(lines, (found) => {
      totals = found
    }),
    totals: () => totals,
  }
}

async function* linesFrom(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const plain = createGunzip()
  // A failure of either reaches the loop below, which ends with it.
  pipeline(Readable.from(bytes), plain).catch(() => undefined)
  plain.setEncoding('utf8')
  let rest = ''
  try {
    for await (const text of plain) {
      const lines = (rest + String(text)).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
  } catch (error) {
    throw error instanceof AppError ? error : invalid('it is cut off or damaged', error)
  }
}

function headerFrom(line: unknown): Header {
  const header = parsed(line) as Partial<Header> | undefined
  if (header?.format !== 'keyward-backup') throw invalid('it is not a backup of Keyward')
  if (header.version !== 1)
    throw new AppError('store.newer', `the backup has version ${header.version} of the format`)
  return header as Header
}

async function* partsFrom(
  lines: AsyncIterable<string>,
  ended: (totals: Totals) => void,
): AsyncIterable<Part> {
  let current: (TableLine & { digest: Hash; count: number }) | undefined
  const found: Record<string, { rows: number; sha256: string }> = {}
  const close = (): void => {
    if (current) found[current.table] = { rows: current.count, sha256: current.digest.digest('hex') }
  }
  for await (const line of lines) {
    const value = parsed(line)
    if (Array.isArray(value)) {
      if (!current) throw invalid('rows stand where a table should')
      current.digest.update(line)
      current.count += value.length
      yield { table: current.table, columns: current.columns, rows: value.map(rowFrom) }
      continue
    }
    close()
    const next = value as Partial<TableLine & EndLine>
    if (next.end) {
      assertSame(next.end, found)
      return ended(next.end)
    }
    current = { ...tableFrom(next), digest: createHash('sha256'), count: 0 }
  }
  throw invalid('its end is missing')
}

function tableFrom({ table, columns }: Partial<TableLine>): TableLine {
  if (typeof table === 'string' && Array.isArray(columns)) return { table, columns }
  throw invalid('a table has no name')
}

function rowFrom(row: unknown): SqlValue[] {
  if (!Array.isArray(row)) throw invalid('a row is none')
  return row.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number') return value
    const { b } = Object(value) as { b?: unknown }
    if (typeof b === 'string') return Buffer.from(b, 'base64')
    throw invalid('a value is of a kind that no column has')
  })
}

function assertSame(expected: Totals, found: Totals): void {
  for (const table of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const [a, b] = [expected[table], found[table]]
    if (a?.rows !== b?.rows || a?.sha256 !== b?.sha256)
      throw invalid(`the table ${table} does not hold what was written`)
  }
}

function parsed(line: unknown): unknown {
  try {
    return JSON.parse(String(line))
  } catch {
    // The parser's own words would quote what is in the backup.
    throw invalid('a line of it cannot be read')
  }
}

const invalid = (reason: string, cause?: unknown): AppError =>
  new AppError('backup.invalid', reason, cause === undefined ? undefined : { cause })
