import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Answer, Body, Call, PathSpec } from '../../engine.ts'
import { textField } from '../../fields.ts'
import { forEachItem } from './batch.ts'
import { digestHash, type HashName } from './hashes.ts'
import { bytesField, decodeBase64, integerField, invalid } from './inputs.ts'
import { type Key, readVersioned, versioned } from './key.ts'
import type { KeyStore } from './key-store.ts'
import { useKey } from './use-key.ts'

const undecodable = 'unable to decode input as base64: '

export function hmacPaths(keys: KeyStore): PathSpec[] {
  const use = useKey(keys, hmacAll, { missing: 'encryption key not found', renews: true })
  return [
    { pattern: 'hmac/{name}', ...use },
    { pattern: 'hmac/{name}/{algorithm}', ...use },
  ]
}

function hmacAll(key: Key, call: Call): Answer {
  const hash = hmacHash(call)
  const number = versionFor(key, integerField(call.body, 'key_version') ?? 0)
  return forEachItem(call, (item) => {
    const sum = createHmac(hash, key.version(number).hmac()).update(inputOf(item)).digest('base64')
    return { hmac: versioned(number, sum) }
  })
}

export function verifyHmac(key: Key, hash: HashName, item: Body): boolean {
  const { version, text } = readVersioned(key, textField(item, 'hmac') ?? '', 'HMAC')
  const given = decodeBase64(text)
  if (!given) throw invalid('unable to decode verification HMAC as base64')
  const sum = createHmac(hash, key.version(version).hmac()).update(inputOf(item)).digest()
  return given.length === sum.length && timingSafeEqual(given, sum)
}

export function hmacHash({ params, body }: Call): HashName {
  const name =
    params['algorithm'] ?? textField(body, 'hash_algorithm') ?? textField(body, 'algorithm') ?? 'sha2-256'
  const hash = digestHash(name)
  if (!hash) throw invalid(`unsupported algorithm ${name}`)
  return hash
}

function inputOf(item: Body): Buffer {
  const input = bytesField(item, 'input', undecodable)
  if (!input) throw invalid('missing input for HMAC')
  return input
}

function versionFor({ record }: Key, wanted: number): number {
  if (wanted === 0) return record.latest
  if (wanted < 0 || wanted > record.latest)
    throw invalid(`key version does not exist; latest key version is ${record.latest}`)
  if (wanted < Math.max(record.minEncryption, record.minAvailable))
    throw invalid('cannot generate HMAC: version is too old (disallowed by policy)')
  return wanted
}
