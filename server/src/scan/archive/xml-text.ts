import { StringDecoder } from 'node:string_decoder'

/** What a part of a document consists of. Names come without their prefix, texts with their entities undone. */
export type Mark =
  | { readonly kind: 'open' | 'close'; readonly name: string; readonly attributes: string }
  | { readonly kind: 'text'; readonly text: string }

/** A longer tag is no tag of a document; what it holds is passed over. */
const longestTag = 64 * 1024

/** Tags and texts of XML, in their order. No entities but those that XML has of itself, and nothing is fetched. */
export async function* xmlMarks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Mark> {
  const decoder = new StringDecoder('utf8')
  let left = ''
  for await (const chunk of chunks) {
    left += decoder.write(chunk)
    const cut = left.lastIndexOf('>') + 1
    yield* marksIn(left.slice(0, cut))
    left = left.length - cut > longestTag ? '' : left.slice(cut)
  }
}

function* marksIn(xml: string): Generator<Mark> {
  for (let at = 0; at < xml.length; ) {
    const open = xml.indexOf('<', at)
    if (open > at) yield { kind: 'text', text: plainText(xml.slice(at, open)) }
    if (open < 0) return
    const close = xml.indexOf('>', open)
    if (close < 0) return
    yield* tagMarks(xml.slice(open + 1, close))
    at = close + 1
  }
}

function* tagMarks(tag: string): Generator<Mark> {
  const match = /^(?<slash>\/?)(?:[\w.-]{1,40}:)?(?<name>[\w.-]{1,80})/.exec(tag)
  const { slash = '', name = '' } = match?.groups ?? {}
  if (name === '') return
  const attributes = tag.slice(match?.[0].length)
  if (slash === '') yield { kind: 'open', name, attributes }
  if (slash !== '' || tag.endsWith('/')) yield { kind: 'close', name, attributes: '' }
}

const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

export const plainText = (text: string): string =>
  text.replace(
    /&(?:#x(?<hex>[0-9a-fA-F]{1,6})|#(?<decimal>\d{1,7})|(?<name>lt|gt|amp|quot|apos));/g,
    (entity, ...rest) => {
      const groups = rest.at(-1) as Record<string, string | undefined>
      if (groups['name'] !== undefined) return named[groups['name']] ?? entity
      const code = groups['hex'] ? Number.parseInt(groups['hex'], 16) : Number(groups['decimal'])
      return code <= 0x10ffff ? String.fromCodePoint(code) : entity
    },
  )
