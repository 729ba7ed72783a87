import type { KeyObject } from 'node:crypto'
import type { Answer, Call, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { textOf } from './batch.ts'
import { rawPrivateKey, rawPublicKey } from './ed25519.ts'
import { invalid } from './inputs.ts'
import type { Key, KeyVersion } from './key.ts'
import { assertUsable, type KeyStore, requireKey } from './key-store.ts'
import { canEncrypt, canSign, isAsymmetric } from './key-types.ts'
import { workingVersions } from './key-view.ts'
import { nameOf } from './use-key.ts'
import { wrapMaterial } from './wrapped-material.ts'

type Kind = 'encryption-key' | 'signing-key' | 'hmac-key' | 'public-key'
type Format = '' | 'raw' | 'der' | 'pem'

const kinds: readonly string[] = ['encryption-key', 'signing-key', 'hmac-key', 'public-key'] satisfies Kind[]
const formats: readonly string[] = ['', 'raw', 'der', 'pem'] satisfies Format[]

/** Keys on their way out, in the clear (`export/`) or wrapped for another vault (`byok-export/`), if they were made so. */
export function exportPaths(keys: KeyStore): PathSpec[] {
  const events = { read: 'key.exported' } as const
  const read = (call: Call): Promise<Answer | undefined> => exportKey(keys, call)
  const wrap = (call: Call): Promise<Answer> => exportWrapped(keys, call)
  return [
    { pattern: 'export/{kind}/{name}', events, read },
    { pattern: 'export/{kind}/{name}/{version}', events, read },
    { pattern: 'byok-export/{destination}/{name}', events, read: wrap },
    { pattern: 'byok-export/{destination}/{name}/{version}', events, read: wrap },
  ]
}

async function exportKey(keys: KeyStore, call: Call): Promise<Answer | undefined> {
  const { params, query } = call
  const kind = params['kind'] ?? ''
  const format = textField(query, 'format') ?? ''
  if (!isKind(kind)) throw invalid(`invalid export type: ${kind}`)
  if (!isFormat(format)) throw invalid(`invalid format: ${format}`)
  const key = await keys.get(nameOf(call))
  if (!key) return undefined
  assertUsable(key)
  if (kind !== 'public-key' && !key.record.exportable) throw invalid('private key material is not exportable')
  assertHas(key, kind)
  const show = (version: KeyVersion): string => materialOf(key, version, kind, format)
  return exported(key, params['version'], show, { kind })
}

async function exportWrapped(keys: KeyStore, call: Call): Promise<Answer> {
  const destination = await requireKey(
    keys,
    call.params['destination'] ?? '',
    'no such destination key to export to',
  )
  const key = await requireKey(keys, nameOf(call), 'no such source key for export')
  assertUsable(destination)
  assertUsable(key)
  if (destination.traits.kind !== 'rsa') throw invalid('destination key must be an RSA key')
  if (!key.record.exportable) throw invalid('key is not exportable')
  const wrapper = destination.version(destination.record.latest).public()
  const show = (version: KeyVersion): string => {
    const { secret } = version.record
    if (secret === null) throw invalid('this key version has only a public key')
    return wrapMaterial(wrapper, Buffer.from(secret, 'base64')).toString('base64')
  }
  return exported(key, call.params['version'], show, { wrappedFor: destination.record.name })
}

function exported(
  key: Key,
  version: string | undefined,
  show: (version: KeyVersion) => string,
  note: Record<string, string>,
): Answer {
  const numbers = version === undefined ? workingVersions(key) : [versionNamed(key, version)]
  const shown = Object.fromEntries(numbers.map((number) => [number, show(key.version(number))]))
  const { name, type } = key.record
  return { dataText: textOf({ keys: shown, name, type }), note: { ...note, versions: numbers } }
}

const isKind = (text: string): text is Kind => kinds.includes(text)
const isFormat = (text: string): text is Format => formats.includes(text)

function assertHas({ traits, record }: Key, kind: Kind): void {
  if (kind === 'encryption-key' && !canEncrypt(traits)) throw invalid('encryption not supported for the key')
  if (kind === 'signing-key' && !canSign(traits)) throw invalid('signing not supported for the key')
  if (kind === 'public-key' && !isAsymmetric(traits))
    throw invalid(`unknown key type ${record.type} for export type public-key`)
}

function versionNamed({ record }: Key, written: string): number {
  if (written === 'latest') return record.latest
  if (!/^\d{1,9}$/.test(written)) throw invalid('invalid key version')
  const number = Number(written)
  if (number < record.minDecryption) throw invalid('version for export is below minimum decryption version')
  if (!record.versions[number]) throw invalid('version does not exist or cannot be found')
  return number
}

function materialOf({ traits }: Key, version: KeyVersion, kind: Kind, format: Format): string {
  const { hmac, secret } = version.record
  if (kind === 'hmac-key') return symmetricText(hmac, format)
  if (traits.kind === 'hmac' || traits.kind === 'aead') return symmetricText(secret ?? '', format)
  const ed25519 = traits.kind === 'ed25519'
  if (format === 'raw' && !ed25519)
    throw invalid('unknown key format for this type of key; supported values are ``, `der`, or `pem`')
  const raw = ed25519 && (format === '' || format === 'raw')
  if (kind === 'public-key')
    return raw ? rawPublicKey(version.public()).toString('base64') : encoded(version.public(), 'spki', format)
  const key = version.private()
  if (!key) throw invalid('this key version has only a public key')
  if (raw) return rawPrivateKey(version).toString('base64')
  const oldForm = traits.kind === 'rsa' ? 'pkcs1' : 'sec1'
  return encoded(key, format === '' ? oldForm : 'pkcs8', format)
}

function symmetricText(base64: string, format: Format): string {
  if (format === '' || format === 'raw') return base64
  throw invalid('unknown format for a symmetric key; supported values are `` or `raw`')
}

function encoded(key: KeyObject, type: 'spki' | 'pkcs8' | 'pkcs1' | 'sec1', format: Format): string {
  // The types of Node tell private from public encodings by literals; which one it is is known only here.
  const as = type as 'pkcs8'
  if (format === 'der') return key.export({ format: 'der', type: as }).toString('base64')
  return String(key.export({ format: 'pem', type: as })).trimEnd()
}
