import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { createDraws } from '../../../test/support/draws.ts'
import { zipOf } from '../../../test/support/zip-of.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('documents')
const scanner = createScanner({ fingerprintKey: draws.bytes(32), threads: 'never' })
const token = draws.vaultToken()
const password = `Heidelbeer${1000 + draws.below(9000)}!k`
const [one, two, three] = [token.slice(0, 9), token.slice(9, 21), token.slice(21)]

async function told(t: TestContext, name: string, bytes: Buffer): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'keyward-documents-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await writeFile(join(root, name), bytes)
  const seen: string[] = []
  for await (const event of scanner.directory(root)) {
    if (event.kind === 'finding')
      seen.push(`${event.finding.place.file}:${event.finding.place.line} ${event.finding.value.reveal()}`)
    if (event.kind === 'problem') seen.push(`${event.file}: ${event.reason}`)
  }
  return seen
}

const office = (parts: Record<string, string>): Buffer =>
  zipOf({ '[Content_Types].xml': '<Types/>', ...parts })
const open = (parts: Record<string, string>): Buffer => zipOf({ mimetype: 'application/vnd.oasis', ...parts })

test('DISC-1: a token whose letters change their looks is found in a Word document, at its paragraph', async (t) => {
  const runs = `<w:p><w:r><w:t>first</w:t></w:r></w:p><w:p><w:r><w:t xml:space="preserve">the token is </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>${one}</w:t></w:r><w:proofErr w:type="x"/><w:r><w:t>${two}</w:t></w:r><w:r><w:t>${three}</w:t></w:r></w:p>`
  const bytes = office({
    'word/document.xml': `<?xml version="1.0"?><w:document><w:body>${runs}</w:body></w:document>`,
  })
  assert.deepEqual(await told(t, 'a.docx', bytes), [`a.docx!word/document.xml!text.txt:2 ${token}`])
})

test('DISC-1: what stands in a table, a link, a note or a property of a document is read', async (t) => {
  const cell = (text: string): string => `<w:tc><w:p><w:r><w:t>${text}</w:t></w:r></w:p></w:tc>`
  const parts = {
    'word/footnotes.xml': `<w:footnotes><w:p><w:r><w:t>password: ${password}</w:t></w:r></w:p></w:footnotes>`,
    'word/document.xml': `<w:document><w:tbl><w:tr>${cell('a &amp; b')}${cell(token)}</w:tr></w:tbl></w:document>`,
    'word/_rels/document.xml.rels': `<Relationship Target="postgres://shop:${password}@db.internal/shop"/>`,
  }
  assert.deepEqual(
    (await told(t, 'a.docx', office(parts))).map((each) => each.replace(/:\d+ /, ' ')),
    [
      `a.docx!word/footnotes.xml!text.txt ${password}`,
      `a.docx!word/document.xml!text.txt ${token}`,
      `a.docx!word/_rels/document.xml.rels postgres://shop:${password}@db.internal/shop`,
    ],
  )
})

test('DISC-1: a workbook is read cell by cell: a key beside its value, and a column under its head', async (t) => {
  const shared = ['name', 'password', 'bob', password, 'api_token', token]
  const si = shared.map((text, at) =>
    at === 5 ? `<si><r><t>${one}</t></r><r><t>${two}${three}</t></r></si>` : `<si><t>${text}</t></si>`,
  )
  const row = (...cells: number[]): string =>
    `<row>${cells.map((cell) => `<c t="s"><v>${cell}</v></c>`).join('')}</row>`
  const parts = {
    'xl/worksheets/sheet1.xml': `<worksheet><sheetData>${row(0, 1)}${row(2, 3)}</sheetData></worksheet>`,
    'xl/worksheets/sheet2.xml': `<worksheet><sheetData>${row(4, 5)}<row><c t="inlineStr"><is><t>x</t></is></c></row></sheetData></worksheet>`,
    'xl/sharedStrings.xml': `<sst>${si.join('')}</sst>`,
  }
  const seen = await told(t, 'a.xlsx', office(parts))
  assert.ok(seen.includes(`a.xlsx!xl/worksheets/sheet1.xml!text.txt:3 ${password}`), seen.join('\n'))
  assert.ok(seen.includes(`a.xlsx!xl/worksheets/sheet2.xml!text.txt:1 ${token}`), seen.join('\n'))
})

test('DISC-1: slides and texts of OpenDocument are read, with their runs joined', async (t) => {
  const slide = `<p:sld><a:p><a:r><a:t>${one}</a:t></a:r><a:r><a:t>${two}${three}</a:t></a:r></a:p></p:sld>`
  assert.deepEqual(await told(t, 'a.pptx', office({ 'ppt/slides/slide1.xml': slide })), [
    `a.pptx!ppt/slides/slide1.xml!text.txt:1 ${token}`,
  ])
  const text = `<text:p>a<text:s text:c="2"/>b</text:p><text:p>${one}<text:span>${two}</text:span>${three}</text:p>`
  assert.deepEqual(await told(t, 'a.odt', open({ 'content.xml': `<office:text>${text}</office:text>` })), [
    `a.odt!content.xml!text.txt:2 ${token}`,
  ])
  const sheet = `<table:table-row><table:table-cell><text:p>password</text:p></table:table-cell><table:table-cell><text:a xlink:href="https://bob:${password}@files.internal/">x</text:a></table:table-cell></table:table-row>`
  const seen = await told(t, 'a.ods', open({ 'content.xml': `<table:table>${sheet}</table:table>` }))
  assert.ok(
    seen.some((each) => each.includes(password)),
    seen.join('\n'),
  )
})

test('DISC-1: in a zip that is no document, the same names are read as they are', async (t) => {
  const bytes = zipOf({ 'a.txt': '', 'content.xml': `<a token="${token}">x</a>` })
  assert.deepEqual(await told(t, 'a.zip', bytes), [`a.zip!content.xml:1 ${token}`])
})

test('DISC-1: a part of a document that is broken, or endless, is gone through', async (t) => {
  const parts = {
    'word/document.xml': `<w:p><w:t>${token}</w:t></w:p><${'x'.repeat(200_000)}`,
    'word/header1.xml': '<<<>>&#x110000;',
  }
  assert.deepEqual(await told(t, 'a.docx', office(parts)), [`a.docx!word/document.xml!text.txt:1 ${token}`])
})

/** A document of one page, as writers of PDF make it: objects, and a table of where they are. */
function pdfOf(content: string, more: readonly string[] = []): Buffer {
  const packed = deflateSync(content)
  const annotations = more.length > 0 ? `/Annots [${more.map((_, at) => `${6 + at} 0 R`).join(' ')}]` : ''
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> ${annotations} >>`,
    Buffer.concat([
      Buffer.from(`<< /Length ${packed.length} /Filter /FlateDecode >>\nstream\n`),
      packed,
      Buffer.from('\nendstream'),
    ]),
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
    ...more,
  ]
  const parts: Buffer[] = [Buffer.from('%PDF-1.7\n')]
  const places: number[] = []
  for (const [index, object] of objects.entries()) {
    places.push(Buffer.concat(parts).length)
    parts.push(Buffer.from(`${index + 1} 0 obj\n`), Buffer.from(object), Buffer.from('\nendobj\n'))
  }
  const table = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('')
  const size = objects.length + 1
  const at = Buffer.concat(parts).length
  parts.push(
    Buffer.from(
      `xref\n0 ${size}\n0000000000 65535 f \n${table}trailer\n<< /Size ${size} /Root 1 0 R /Info << /Keywords (token=${token}) >> >>\nstartxref\n${at}\n%%EOF\n`,
    ),
  )
  return Buffer.concat(parts)
}

test('DISC-1: the text of a PDF is read page by page, with its links and what is said about it', async (t) => {
  const content = `BT /F1 12 Tf 20 700 Td (first) Tj 0 -20 Td [(password: ${password.slice(0, 5)}) -20 (${password.slice(5)})] TJ ET`
  const link = `<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://bob:${password}x@files.internal/) >> >>`
  const seen = await told(t, 'a.pdf', pdfOf(content, [link]))
  assert.deepEqual(seen, [
    `a.pdf!page 1:2 ${password}`,
    `a.pdf!page 1:3 https://bob:${password}x@files.internal/`,
    `a.pdf!information:${seen.at(-1)?.match(/information:(\d+)/)?.[1]} ${token}`,
  ])
})

test('DISC-1: a PDF that is damaged or empty is a problem that is told, and not the end', async (t) => {
  const whole = pdfOf('BT (a) Tj ET')
  for (const bytes of [
    whole.subarray(0, 30),
    Buffer.from('%PDF-1.7\n'),
    Buffer.concat([Buffer.from('%PDF-1.7\n'), draws.bytes(5000)]),
  ]) {
    const [problem, ...others] = await told(t, 'a.pdf', bytes)
    assert.match(problem ?? '', /^a\.pdf: the archive cannot be read to its end: /)
    assert.deepEqual(others, [])
  }
})
