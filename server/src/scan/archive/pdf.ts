/** A page of a document, or a file attached to it. */
export type PdfPart = { readonly name: string; readonly bytes: Buffer }

const mostPages = 5000

/**
 * The text of each page, with where its links lead and what its fields hold, then what is attached. The library is loaded
 * with the first document. Nothing is drawn, no script is run and nothing is fetched.
 */
export async function* pdfParts(bytes: Buffer): AsyncGenerator<PdfPart> {
  const { getDocumentProxy } = await import('unpdf')
  // The library keeps the bytes that it is given.
  const document = await getDocumentProxy(new Uint8Array(bytes), {
    verbosity: 0,
    stopAtErrors: false,
  })
  try {
    if (document.numPages > mostPages) throw new RangeError(`it has more than ${mostPages} pages`)
    for (let number = 1; number <= document.numPages; number++) {
      const page = await document.getPage(number)
      const { items } = await page.getTextContent()
      const lines = items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : ''))
      const notes: unknown[] = await page.getAnnotations()
      page.cleanup()
      yield { name: `page ${number}`, bytes: Buffer.from([...lines, ...notes.flatMap(textsOfNote)].join('')) }
    }
    const { info } = await document.getMetadata()
    const about = Object.entries(info).filter(([, value]) => typeof value === 'string')
    yield {
      name: 'information',
      bytes: Buffer.from(about.map(([key, value]) => `${key}: ${value}\n`).join('')),
    }
    const attached: unknown = await document.getAttachments()
    for (const [name, file] of Object.entries(attached ?? {})) {
      const content = fieldOf(file, 'content')
      if (content instanceof Uint8Array) yield { name, bytes: Buffer.from(content) }
    }
  } finally {
    await document.loadingTask.destroy()
  }
}

const fieldOf = (object: unknown, field: string): unknown =>
  typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[field] : undefined

function textsOfNote(note: unknown): string[] {
  const [address, name, value] = ['unsafeUrl', 'fieldName', 'fieldValue'].map((field) => fieldOf(note, field))
  return [
    ...(typeof address === 'string' ? [`\n${address}\n`] : []),
    ...(typeof value === 'string' && value !== '' ? [`\n${String(name)}: ${value}\n`] : []),
  ]
}
