import type { Answer, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, textField } from '../../fields.ts'
import { bytesField, integerField, invalid } from './inputs.ts'
import type { Key, KeyRecord, VersionRecord } from './key.ts'
import { settingsOf } from './key-paths.ts'
import { type KeyStore, requireKey, withVersion } from './key-store.ts'
import type { KeyType } from './key-types.ts'
import { importedPublic, importedVersion } from './material.ts'
import { importedKey, newKey } from './new-key.ts'
import { nameOf } from './use-key.ts'
import { oaepHashOf, unwrapMaterial } from './wrapped-material.ts'

/** Keys that were made elsewhere: `wrapping_key`, `keys/<name>/import` and `import_version`. */
export function importPaths(keys: KeyStore): PathSpec[] {
  const events = { update: 'key.imported' } as const
  return [
    { pattern: 'wrapping_key', read: (call) => readWrappingKey(keys, call) },
    { pattern: 'keys/{name}/import', events, post: (call) => importKey(keys, call) },
    { pattern: 'keys/{name}/import_version', events, post: (call) => importVersion(keys, call) },
  ]
}

async function readWrappingKey(keys: KeyStore, { now }: Call): Promise<Answer | WriteHandler> {
  const known = await keys.wrappingKey()
  if (known) return shown(known)
  const record = await newKey({ name: 'wrapping-key', type: 'rsa-4096' }, now)
  return async (tx) => shown((await keys.wrappingKey(tx)) ?? (await keys.setWrappingKey(tx, record)))
}

const shown = (key: Key): Answer => ({
  data: { public_key: key.version(key.record.latest).public().export({ format: 'pem', type: 'spki' }) },
})

async function importKey(keys: KeyStore, call: Call): Promise<WriteHandler> {
  const name = nameOf(call)
  const exists =
    'the import path cannot be used with an existing key; use import_version to add a version to an imported key'
  if (await keys.get(name)) throw invalid(exists)
  const settings = {
    ...settingsOf(name, call.body),
    allowRotation: booleanField(call.body, 'allow_rotation') ?? false,
  }
  if ((settings.autoRotateSeconds ?? 0) > 0 && !settings.allowRotation)
    throw invalid('allow_rotation must be set to true if auto-rotation is enabled')
  const record = importedKey(settings, await versionIn(keys, settings.type, call))
  return async (tx) => {
    if (await keys.get(name, tx)) throw invalid(exists)
    await keys.put(tx, record)
    return { note: { type: record.type } }
  }
}

async function importVersion(keys: KeyStore, call: Call): Promise<WriteHandler> {
  const name = nameOf(call)
  const missing = `no key found with name ${name}; to import a new key, use the import/ endpoint`
  const { record } = await requireKey(keys, name, missing)
  assertImportable(record)
  const version = await versionIn(keys, record.type, call)
  return async (tx) => {
    const key = await requireKey(keys, name, missing, tx)
    assertImportable(key.record)
    const next = placed(key.record, version, integerField(call.body, 'version'))
    await keys.put(tx, next)
    return { note: { version: next.latest } }
  }
}

function assertImportable({ imported }: KeyRecord): void {
  if (!imported) throw invalid('the import_version endpoint can only be used with an imported key')
}

/** A new version; or the private half of one that came as a public key, which it has to fit. */
function placed(record: KeyRecord, version: VersionRecord, wanted: number | undefined): KeyRecord {
  const number = wanted ?? record.latest
  const known = record.versions[number]
  if (!known) throw invalid(`version ${number} of the key does not exist`)
  const completes = version.secret !== null && known.secret === null && known.publicKey !== null
  if (wanted === undefined && !completes) return withVersion(record, version)
  if (!completes) throw invalid('this version has its private key already')
  if (known.publicKey !== version.publicKey)
    throw invalid('the private key does not belong to the public key of this version')
  return { ...record, versions: { ...record.versions, [number]: { ...known, secret: version.secret } } }
}

/** The material of a request: a public key in the clear, or anything else wrapped. */
async function versionIn(keys: KeyStore, type: KeyType, { body, now }: Call): Promise<VersionRecord> {
  const pem = textField(body, 'public_key')
  const hash = oaepHashOf(textField(body, 'hash_function') || 'SHA256')
  const wrapped = bytesField(body, 'ciphertext')
  if (pem && wrapped) throw invalid('only one of the following fields, ciphertext and public_key, can be set')
  if (pem) return importedPublic(type, pem, now)
  if (!wrapped) throw invalid('either ciphertext or public_key must be given')
  const wrapping = await keys.wrappingKey()
  const key = wrapping?.version(wrapping.record.latest).private()
  if (!key) throw invalid('read wrapping_key first: nothing can be wrapped for this mount yet')
  const material = unwrapMaterial(key, hash, wrapped)
  const version = importedVersion(type, material, now)
  material.fill(0)
  return version
}
