import { invalid } from './record-fields.ts'

export const pemOf = (label: string, der: Uint8Array): string => {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----`
}

export type PemBlock = { readonly label: string; readonly der: Buffer; readonly text: string }

const begin = '-----BEGIN '
const dashes = '-----'

/**
 * The blocks of a text, in their order; what stands between them is passed over, as tools print certificates beside them. Without
 * a pattern over the whole, because some patterns take their time with texts that are made for it.
 */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  for (let start = text.indexOf(begin); start >= 0; ) {
    const labelEnd = text.indexOf(dashes, start + begin.length)
    const label = text.slice(start + begin.length, labelEnd)
    const mark = `${dashes}END ${label}${dashes}`
    const end = labelEnd < 0 || !/^[A-Z0-9 ]{1,64}$/.test(label) ? -1 : text.indexOf(mark, labelEnd)
    // One that does not end: nothing after it is to be trusted.
    if (end < 0) break
    const body = text.slice(labelEnd + dashes.length, end)
    if (/^[A-Za-z0-9+/=\s]*$/.test(body))
      blocks.push({ label, der: Buffer.from(body, 'base64'), text: text.slice(start, end + mark.length) })
    start = text.indexOf(begin, end)
  }
  return blocks
}

/** Bytes from the first block of these kinds. */
export function derFrom(text: string, labels: readonly string[]): Buffer {
  const found = pemBlocks(text).find(({ label }) => labels.includes(label))
  if (!found) throw invalid(`no PEM block of the kind ${labels[0]}`)
  return found.der
}
