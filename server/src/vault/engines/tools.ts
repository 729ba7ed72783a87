import { createHash, randomBytes } from 'node:crypto'
import { Secret } from '../../core/index.ts'
import type { Answer, Call, PathSpec } from '../engine.ts'
import { textField } from '../fields.ts'
import { digestHash } from './transit/hashes.ts'
import { bytesField, integerField, invalid } from './transit/inputs.ts'

const mostRandomBytes = 131_072
const sources = ['platform', 'seal', 'all']

/** `random` and `hash`, which need no key: below `sys/tools/` and in every transit mount. */
export function toolPaths(prefix = ''): PathSpec[] {
  const post = async (call: Call): Promise<Answer> => random(call)
  const hashing = async (call: Call): Promise<Answer> => hash(call)
  return [
    { pattern: `${prefix}random`, post },
    { pattern: `${prefix}random/{first}`, post },
    { pattern: `${prefix}random/{first}/{bytes}`, post },
    { pattern: `${prefix}hash`, post: hashing },
    { pattern: `${prefix}hash/{algorithm}`, post: hashing },
  ]
}

/** The path may end in a source, a number of bytes, or both. */
function random({ params, body }: Call): Answer {
  const { first } = params
  const sourceFirst = first !== undefined && (params['bytes'] !== undefined || sources.includes(first))
  const source = (sourceFirst ? first : textField(body, 'source')) ?? 'platform'
  if (!sources.includes(source))
    throw invalid(`unsupported entropy source "${source}"; must be "platform" or "seal", or "all"`)
  const bytes = randomBytes(countOf(params['bytes'] ?? (sourceFirst ? undefined : first), body))
  const text = encode(bytes, textField(body, 'format') || 'base64')
  return { dataText: new Secret(JSON.stringify({ random_bytes: text })), note: { bytes: bytes.length } }
}

function countOf(inPath: string | undefined, body: Call['body']): number {
  if (inPath !== undefined && !/^-?\d{1,9}$/.test(inPath))
    throw invalid(`error parsing url-set byte count: "${inPath}" is no number`)
  const count = inPath === undefined ? (integerField(body, 'bytes') ?? 32) : Number(inPath)
  if (count < 1) throw invalid("'bytes' cannot be less than 1")
  if (count > mostRandomBytes) throw invalid(`'bytes' should be less than ${mostRandomBytes}`)
  return count
}

function hash({ params, body }: Call): Answer {
  const name = params['algorithm'] ?? textField(body, 'algorithm') ?? 'sha2-256'
  const input = bytesField(body, 'input', 'unable to decode input as base64: ')
  if (!input) throw invalid('input missing')
  const known = digestHash(name)
  if (!known) throw invalid(`unsupported algorithm ${name}`)
  const sum = createHash(known).update(input).digest()
  return { data: { sum: encode(sum, textField(body, 'format') || 'hex') } }
}

function encode(bytes: Buffer, format: string): string {
  if (format === 'hex' || format === 'base64') return bytes.toString(format)
  throw invalid(`unsupported encoding format ${format}; must be "hex" or "base64"`)
}
