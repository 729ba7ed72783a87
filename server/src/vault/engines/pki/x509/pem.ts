import { malformed } from './der.ts'

export const pemOf = (label: string, der: Uint8Array): string => {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----`
}

export type PemBlock = { readonly label: string; readonly der: Buffer; readonly text: string }

const block = /-----BEGIN ([A-Z0-9 ]{1,64})-----\s*([A-Za-z0-9+/=\s]*?)\s*-----END \1-----/g

/** The blocks of a text, in their order; what stands between them is passed over, as tools print certificates beside them. */
export function pemBlocks(text: string): PemBlock[] {
  return [...text.matchAll(block)].map(([whole, label = '', body = '']) => ({
    label,
    der: Buffer.from(body, 'base64'),
    text: whole,
  }))
}

/** Bytes from one block of PEM. */
export function derFrom(text: string, labels: readonly string[]): Buffer {
  const found = pemBlocks(text).find(({ label }) => labels.includes(label))
  if (!found) throw malformed(`no PEM block of the kind ${labels[0]}`)
  return found.der
}
