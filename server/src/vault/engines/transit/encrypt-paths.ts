import { randomBytes } from 'node:crypto'
import type { Answer, Body, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, textField } from '../../fields.ts'
import { batchOf, forEachItem, type Result, textOf } from './batch.ts'
import { decrypt, encrypt } from './cipher.ts'
import { bytesField, integerField, invalid } from './inputs.ts'
import { type Key, versionToUse } from './key.ts'
import { assertUsable, type KeyStore } from './key-store.ts'
import { canEncrypt, isKeyType, traitsOf } from './key-types.ts'
import { newKey } from './new-key.ts'
import { nameOf, useKey } from './use-key.ts'

const missing = 'encryption key not found'
const dataKeyBits = [128, 256, 512]

/** `encrypt/`, `decrypt/`, `rewrap/` and `datakey/`. */
export function encryptPaths(keys: KeyStore): PathSpec[] {
  return [
    {
      pattern: 'encrypt/{name}',
      exists: async (call, reader) =>
        (await keys.get(nameOf(call), reader)) !== undefined || !(await keys.mayUpsert()),
      ...useKey(keys, encryptAll, { missing, renews: true, upsert: (call) => upsert(keys, call) }),
    },
    { pattern: 'decrypt/{name}', ...useKey(keys, decryptAll, { missing, renews: false }) },
    { pattern: 'rewrap/{name}', ...useKey(keys, rewrapAll, { missing, renews: true }) },
    { pattern: 'datakey/{kind}/{name}', ...useKey(keys, dataKey, { missing, renews: true }) },
  ]
}

const inputsOf = (item: Body): { context: Buffer | undefined; associatedData: Buffer | undefined } => ({
  context: bytesField(item, 'context'),
  associatedData: bytesField(item, 'associated_data'),
})

/** What would be done in another way than the caller thinks, if it were passed over. */
function assertSupported(item: Body): void {
  // Used twice, it would give the key away; Vault refuses it too.
  if (textField(item, 'nonce')) throw invalid('provided nonce not allowed for this key')
  const padding = textField(item, 'padding_scheme') || 'oaep'
  if (padding !== 'oaep') throw invalid(`padding scheme ${padding} is not supported; use oaep`)
}

function encryptItem(key: Key, item: Body): Result {
  assertSupported(item)
  const plaintext = bytesField(item, 'plaintext')
  if (!plaintext) throw invalid('missing plaintext to encrypt')
  const version = versionToUse(key, integerField(item, 'key_version') ?? 0, 'encryption')
  return { ciphertext: encrypt(key, version, { plaintext, ...inputsOf(item) }), key_version: version }
}

const encryptAll = (key: Key, call: Call): Answer => {
  assertEncrypts(key)
  return forEachItem(call, (item) => encryptItem(key, item), { strict: true })
}

function decryptItem(key: Key, item: Body): Buffer {
  if (key.traits.kind === 'rsa') assertSupported(item)
  const ciphertext = textField(item, 'ciphertext')
  if (!ciphertext) throw invalid('missing ciphertext to decrypt')
  return decrypt(key, { ciphertext, ...inputsOf(item) })
}

function decryptAll(key: Key, call: Call): Answer {
  if (!canEncrypt(key.traits))
    throw invalid(`message decryption not supported for key type ${key.record.type}`)
  return forEachItem(call, (item) => ({ plaintext: decryptItem(key, item).toString('base64') }), {
    strict: true,
    onFailure: { plaintext: '' },
  })
}

function rewrapAll(key: Key, call: Call): Answer {
  assertEncrypts(key)
  return forEachItem(call, (item) => {
    assertSupported(item)
    const plaintext = decryptItem(key, item)
    const version = versionToUse(key, integerField(item, 'key_version') ?? 0, 'encryption')
    const ciphertext = encrypt(key, version, { plaintext, ...inputsOf(item) })
    plaintext.fill(0)
    return { ciphertext, key_version: version }
  })
}

/** A key for use elsewhere: encrypted, and in the clear only on a path of its own, so that a policy can tell them apart. */
function dataKey(key: Key, call: Call): Answer {
  const { body, params } = call
  const kind = params['kind']
  if (kind !== 'plaintext' && kind !== 'wrapped')
    throw invalid("Invalid path, must be 'plaintext' or 'wrapped'")
  assertEncrypts(key)
  assertSupported(body)
  const bits = integerField(body, 'bits') ?? 256
  if (!dataKeyBits.includes(bits)) throw invalid('invalid bit length')
  const version = versionToUse(key, integerField(body, 'key_version') ?? 0, 'encryption')
  const plaintext = randomBytes(bits / 8)
  const ciphertext = encrypt(key, version, { plaintext, ...inputsOf(body) })
  const shown = kind === 'plaintext' ? { plaintext: plaintext.toString('base64') } : {}
  plaintext.fill(0)
  return { dataText: textOf({ ciphertext, key_version: version, ...shown }) }
}

function assertEncrypts(key: Key): void {
  if (!canEncrypt(key.traits))
    throw invalid(`message encryption not supported for key type ${key.record.type}`)
}

/** Encrypting with a key that is not there makes it, for who may create: derived when there is a context. */
async function upsert(keys: KeyStore, call: Call): Promise<WriteHandler | undefined> {
  if (!(await keys.mayUpsert())) return undefined
  const type = textField(call.body, 'type') ?? 'aes256-gcm96'
  if (!isKeyType(type) || traitsOf(type).kind !== 'aead') throw invalid(`unknown key type ${type}`)
  const derived = everyItemHasContext(call.body)
  const convergent = booleanField(call.body, 'convergent_encryption') ?? false
  if (convergent && !derived)
    throw invalid('convergent encryption requires derivation to be enabled, so context is required')
  const record = await newKey({ name: nameOf(call), type, derived, convergent }, call.now)
  return async (tx, inTx) => {
    // Another request may have made it meanwhile.
    const known = await keys.get(record.name, tx)
    const key = known ?? (await keys.put(tx, record))
    assertUsable(key)
    const answer = encryptAll(key, inTx)
    return known ? answer : { ...answer, note: { ...Object(answer.note), created: record.type } }
  }
}

function everyItemHasContext(body: Body): boolean {
  const withContext = (item: Body): boolean => Boolean(textField(item, 'context'))
  const items = batchOf(body) ?? [body]
  const count = items.filter(withContext).length
  if (count > 0 && count < items.length)
    throw invalid('context should be set either in all the request blocks or in none')
  return count > 0
}
