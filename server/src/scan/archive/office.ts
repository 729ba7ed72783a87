import { plainText, xmlMarks } from './xml-text.ts'
import type { ZipEntry } from './zip.ts'

/** Parts whose text people see; the others are read as they are. */
const textParts =
  /^(?:word\/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)|ppt\/(?:slides\/slide|notesSlides\/notesSlide|comments\/comment)\d*|xl\/comments\d*|content|styles)\.xml$/
const sheetParts = /^xl\/worksheets\/[\w-]{1,40}\.xml$/
const sharedStrings = 'xl/sharedStrings.xml'
/** So many texts of a workbook are kept to be put into its cells; those beyond are read without them. */
const mostSharedBytes = 32 * 1024 * 1024
/** Writers put what tells a document from other archives among its first files. */
const firstEntries = 64

/** Whether a zip archive is a document of Office Open XML or OpenDocument. */
export function isDocument(entries: Iterable<ZipEntry>): boolean {
  let left = firstEntries
  for (const { name } of entries) {
    if (name === '[Content_Types].xml' || name === 'mimetype') return true
    if (--left === 0) return false
  }
  return false
}

/** The text of a part of a document, by its name; undefined for what is to be read as it is. */
export type PartReader = (name: string, body: AsyncIterable<Buffer>) => AsyncIterable<Buffer> | undefined

/** The runs of a paragraph are joined, so that a text that changes its looks in the middle is one. */
export async function createPartReader(entries: Iterable<ZipEntry>): Promise<PartReader> {
  let shared: string[] = []
  for (const { name, body } of entries) if (name === sharedStrings && body) shared = await textsOf(body)
  return (name, body) => {
    if (sheetParts.test(name)) return inPieces(rowsOf(body, shared))
    return textParts.test(name) ? inPieces(paragraphsOf(body)) : undefined
  }
}

const pieceLength = 64 * 1024

async function* inPieces(texts: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let piece = ''
  for await (const text of texts) {
    piece += text
    if (piece.length < pieceLength) continue
    yield Buffer.from(piece)
    piece = ''
  }
  if (piece !== '') yield Buffer.from(piece)
}

const paragraphs = new Set(['p', 'h', 'br', 'cr', 'line-break', 'row', 'tr', 'table-row'])
const cells = new Set(['tc', 'table-cell', 'tab'])
/** Where a link leads, and what a field is computed from. */
const address = /(?:href|instr)=["'](?<text>[^"']{1,4000})["']/

async function* paragraphsOf(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const mark of xmlMarks(body)) {
    if (mark.kind === 'text') yield mark.text.replace(/[\r\n]+/g, ' ')
    else if (mark.kind === 'open') {
      const linked = address.exec(mark.attributes)?.groups?.['text']
      if (linked !== undefined) yield `\n${plainText(linked)}\n`
      if (mark.name === 's') yield ' '
    } else if (paragraphs.has(mark.name)) yield '\n'
    else if (cells.has(mark.name)) yield ' | '
  }
}

/** The texts that the cells of a workbook refer to by their number. */
async function textsOf(body: AsyncIterable<Buffer>): Promise<string[]> {
  const texts: string[] = []
  let [text, sizeBytes] = ['', 0]
  for await (const mark of xmlMarks(body)) {
    if (mark.kind === 'text') text += mark.text
    else if (mark.name === 'si' && mark.kind === 'close') {
      sizeBytes += text.length
      if (sizeBytes > mostSharedBytes) return texts
      texts.push(text)
      text = ''
    } else if (mark.name === 'si') text = ''
  }
  return texts
}

/** Each row on a line, its cells between bars; the first row heads the columns. */
async function* rowsOf(body: AsyncIterable<Buffer>, shared: readonly string[]): AsyncGenerator<string> {
  const row: string[] = []
  let [cell, isShared, isFirst] = ['', false, true]
  for await (const mark of xmlMarks(body)) {
    if (mark.kind === 'text') cell += mark.text
    else if (mark.name === 'c' && mark.kind === 'open') {
      cell = ''
      isShared = /\bt=["']s["']/.test(mark.attributes)
    } else if (mark.name === 'c') row.push(isShared ? (shared[Number(cell)] ?? '') : cell)
    else if (mark.name === 'row' && mark.kind === 'close') {
      yield lineOf(row, isFirst)
      isFirst = false
      row.length = 0
    }
  }
}

function lineOf(row: readonly string[], isHead: boolean): string {
  const line = `| ${row.map((cell) => cell.replace(/[\r\n|]+/g, ' ')).join(' | ')} |\n`
  return isHead ? `${line}|${' --- |'.repeat(row.length)}\n` : line
}
