import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { Answer, Body, Call, PathSpec } from '../../engine.ts'
import { booleanField, textField } from '../../fields.ts'
import { batchOf, forEachItem, type Result } from './batch.ts'
import { signEcdsa, verifyEcdsa } from './ecdsa-signature.ts'
import { derivedPrivateKey, rawPublicKey } from './ed25519.ts'
import { type HashName, signingHash } from './hashes.ts'
import { hmacHash, verifyHmac } from './hmac-paths.ts'
import { bytesField, decodeBase64, integerField, invalid } from './inputs.ts'
import { type Key, type KeyVersion, readVersioned, versioned, versionToUse } from './key.ts'
import type { KeyStore } from './key-store.ts'
import { canSign } from './key-types.ts'
import { signRsa, verifyRsa } from './rsa-signature.ts'
import { useKey } from './use-key.ts'

/** What a request says about how its signatures are made; each type of key takes what concerns it. */
type Scheme = {
  readonly hash: HashName | undefined
  readonly prehashed: boolean
  readonly padding: 'pss' | 'pkcs1v15'
  readonly salt: 'auto' | 'hash' | number
  readonly marshaling: 'asn1' | 'jws'
}

/** `sign/` and `verify/`; the name of the hash may end the path, so that a policy can forbid one. */
export function signPaths(keys: KeyStore): PathSpec[] {
  const signing = useKey(keys, signAll, { missing: 'signing key not found', renews: true })
  const verifying = useKey(keys, verifyAll, {
    missing: 'signature verification key not found',
    renews: false,
  })
  return [
    { pattern: 'sign/{name}', ...signing },
    { pattern: 'sign/{name}/{algorithm}', ...signing },
    { pattern: 'verify/{name}', ...verifying },
    { pattern: 'verify/{name}/{algorithm}', ...verifying },
  ]
}

function signAll(key: Key, call: Call): Answer {
  if (!canSign(key.traits)) throw invalid(`key type ${key.record.type} does not support signing`)
  const scheme = schemeOf(call)
  const number = versionToUse(key, integerField(call.body, 'key_version') ?? 0, 'signing')
  return forEachItem(call, (item) => signItem(key, number, scheme, item), { onFailure: { key_version: 0 } })
}

function signItem(key: Key, number: number, scheme: Scheme, item: Body): Result {
  const { signature, publicKey } = makeSignature(key, key.version(number), scheme, item)
  // JWS encodes without padding, in the alphabet of URLs.
  const text = signature.toString(
    key.traits.kind === 'ecdsa' && scheme.marshaling === 'jws' ? 'base64url' : 'base64',
  )
  return {
    signature: versioned(number, text),
    key_version: number,
    ...(publicKey ? { public_key: rawPublicKey(publicKey).toString('base64') } : {}),
  }
}

function makeSignature(
  { traits, record }: Key,
  version: KeyVersion,
  scheme: Scheme,
  item: Body,
): { signature: Buffer; publicKey?: KeyObject } {
  const input = inputOf(item)
  if (record.derived) {
    const derived = derivedPrivateKey(version, bytesField(item, 'context'))
    return { signature: sign(null, input, derived), publicKey: createPublicKey(derived) }
  }
  const secret = version.private()
  if (!secret) throw invalid('this key version has only a public key, which cannot sign')
  if (traits.kind === 'rsa') return { signature: signRsa(secret, scheme, input) }
  if (traits.kind !== 'ecdsa') return { signature: sign(null, input, secret) }
  return {
    signature: signEcdsa(secret, { ...scheme, curve: traits.curve, hash: scheme.hash ?? 'sha256' }, input),
  }
}

function verifyAll(key: Key, call: Call): Answer {
  const given = givenIn(call)
  if (given === 'hmac') {
    const hash = hmacHash(call)
    return forEachItem(call, (item) => ({ valid: verifyHmac(key, hash, item) }), {
      onFailure: { valid: false },
    })
  }
  if (!canSign(key.traits)) throw invalid(`key type ${key.record.type} does not support verification`)
  const scheme = schemeOf(call)
  return forEachItem(call, (item) => ({ valid: verifyItem(key, scheme, item) }), {
    onFailure: { valid: false },
  })
}

/** Either signatures or HMACs, in all items the same. */
function givenIn({ body }: Call): 'signature' | 'hmac' {
  const items = batchOf(body)
  const all = items ?? [body]
  const signatures = all.filter((item) => textField(item, 'signature')).length
  const hmacs = all.filter((item) => textField(item, 'hmac')).length
  if (signatures + hmacs === 0)
    throw invalid(
      items
        ? "no batch_input elements have 'signature' or 'hmac'"
        : "neither a 'signature' nor an 'hmac' were given to verify",
    )
  if (items && signatures !== items.length && hmacs !== items.length)
    throw invalid("elements of batch_input must all provide 'signature' or all provide 'hmac'")
  if (signatures > 0 && hmacs > 0) throw invalid("provide one of 'signature' or 'hmac'")
  return signatures > 0 ? 'signature' : 'hmac'
}

function verifyItem(key: Key, scheme: Scheme, item: Body): boolean {
  const { version: number, text } = readVersioned(key, textField(item, 'signature') ?? '', 'signature')
  const input = inputOf(item)
  const jws = key.traits.kind === 'ecdsa' && scheme.marshaling === 'jws'
  const signature = jws ? decodeUrl(text) : decodeBase64(text)
  if (!signature) throw invalid('invalid base64 signature value')
  const publicKey = publicKeyFor(key, key.version(number), item)
  if (key.traits.kind === 'rsa') return verifyRsa(publicKey, scheme, input, signature)
  if (key.traits.kind !== 'ecdsa') return verify(null, input, publicKey, signature)
  const { curve } = key.traits
  return verifyEcdsa(publicKey, { ...scheme, curve, hash: scheme.hash ?? 'sha256' }, input, signature)
}

function publicKeyFor({ record }: Key, version: KeyVersion, item: Body): KeyObject {
  if (!record.derived) return version.public()
  return createPublicKey(derivedPrivateKey(version, bytesField(item, 'context')))
}

const decodeUrl = (text: string): Buffer | undefined =>
  /^[A-Za-z0-9_-]*$/.test(text) ? Buffer.from(text, 'base64url') : undefined

function inputOf(item: Body): Buffer {
  const input = bytesField(item, 'input', 'unable to decode input as base64: ')
  if (!input) throw invalid('missing input')
  return input
}

function schemeOf({ params, body }: Call): Scheme {
  const name =
    params['algorithm'] ?? textField(body, 'hash_algorithm') ?? textField(body, 'algorithm') ?? 'sha2-256'
  const hash = signingHash(name)
  if (!hash && name !== 'none') throw invalid(`invalid hash algorithm "${name}"`)
  const prehashed = booleanField(body, 'prehashed') ?? false
  const padding = textField(body, 'signature_algorithm') || 'pss'
  if (padding !== 'pss' && padding !== 'pkcs1v15')
    throw invalid(`unsupported rsa signature algorithm ${padding}`)
  if (!hash && (!prehashed || padding !== 'pkcs1v15'))
    throw invalid('hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15')
  const marshaling = textField(body, 'marshaling_algorithm') || 'asn1'
  if (marshaling !== 'asn1' && marshaling !== 'jws') throw invalid(`invalid marshaling type "${marshaling}"`)
  return { hash, prehashed, padding, marshaling, salt: saltOf(textField(body, 'salt_length') || 'auto') }
}

function saltOf(written: string): Scheme['salt'] {
  if (written === 'auto' || written === 'hash') return written
  if (/^\d{1,5}$/.test(written)) return Number(written)
  throw invalid(`salt length neither 'auto', 'hash', nor an int: ${written}`)
}
