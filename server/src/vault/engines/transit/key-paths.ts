import type { Tx } from '../../../store/index.ts'
import type { Answer, Body, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, countField, durationField, textField } from '../../fields.ts'
import { bytesField, integerField, invalid } from './inputs.ts'
import type { KeyRecord } from './key.ts'
import { assertUsable, type KeyStore, requireKey, withVersion } from './key-store.ts'
import { isKeyType, type KeyType } from './key-types.ts'
import { keyView } from './key-view.ts'
import { newVersion } from './material.ts'
import { assertRotationPeriod, type KeySettings, newKey } from './new-key.ts'
import { nameOf } from './use-key.ts'

/** Of a key, when it is made and later. */
const settingNames = ['allow_plaintext_backup', 'auto_rotate_period', 'exportable']

/** `keys/`: makes, shows, tunes, rotates, trims and deletes keys; and what holds for all keys of the mount. */
export function keyPaths(keys: KeyStore): PathSpec[] {
  const change = (pattern: string, alter: (record: KeyRecord, call: Call) => KeyRecord): PathSpec => ({
    pattern,
    events: { update: 'key.changed', delete: 'key.changed' },
    update: (tx, call) => alterKey(keys, tx, call, alter),
  })
  const softDelete = (softDeleted: boolean) => (record: KeyRecord) => ({ ...record, softDeleted })
  const hide = change('keys/{name}/soft-delete', softDelete(true))
  return [
    { pattern: 'keys', list: () => listKeys(keys) },
    {
      pattern: 'keys/{name}',
      takes: [...settingNames, 'context', 'convergent_encryption', 'derived', 'key_size', 'type'],
      events: { update: 'key.created', delete: 'key.deleted' },
      read: (call) => readKey(keys, call),
      post: (call) => createKey(keys, call),
      delete: (tx, call) => deleteKey(keys, tx, call),
    },
    {
      ...change('keys/{name}/config', configured),
      takes: [...settingNames, 'deletion_allowed', 'min_decryption_version', 'min_encryption_version'],
    },
    { pattern: 'keys/{name}/rotate', events: { update: 'key.rotated' }, post: (call) => rotate(keys, call) },
    change('keys/{name}/trim', trimmed),
    {
      pattern: hide.pattern,
      ...(hide.update ? { delete: hide.update } : {}),
      events: { delete: 'key.changed' },
    },
    change('keys/{name}/soft-delete-restore', softDelete(false)),
    {
      pattern: 'config/keys',
      read: async () => ({ data: { disable_upsert: !(await keys.mayUpsert()) } }),
      async update(tx, { body }) {
        const disable = booleanField(body, 'disable_upsert') ?? false
        await keys.setMayUpsert(tx, !disable)
        return { data: { disable_upsert: disable } }
      },
    },
    {
      pattern: 'cache-config',
      // The cache belongs to the whole vault and is bounded in bytes; clients that ask are told "no limit of entries".
      read: async () => ({ data: { size: 0 } }),
    },
  ]
}

async function listKeys(keys: KeyStore): Promise<Answer | undefined> {
  const names = await keys.names()
  return names.length === 0 ? undefined : { data: { keys: names }, note: { count: names.length } }
}

async function readKey(keys: KeyStore, call: Call): Promise<Answer | undefined> {
  const key = await keys.get(nameOf(call))
  return key && { data: keyView(key, bytesField(call.query, 'context')) }
}

/** Vault leaves a key that is there as it is, and shows it: programs make sure of their key at every start. */
async function createKey(keys: KeyStore, call: Call): Promise<Answer | WriteHandler> {
  const settings = settingsOf(nameOf(call), call.body)
  const known = await keys.get(settings.name)
  if (known) return { data: keyView(known), note: { existed: true } }
  const record = await newKey(settings, call.now)
  return async (tx) => {
    const made = await keys.get(record.name, tx)
    const key = made ?? (await keys.put(tx, record))
    return { data: keyView(key), note: made ? { existed: true } : { type: record.type } }
  }
}

export function settingsOf(name: string, body: Body): KeySettings {
  return {
    name,
    type: typeOf(textField(body, 'type') ?? 'aes256-gcm96'),
    derived: booleanField(body, 'derived') ?? false,
    convergent: booleanField(body, 'convergent_encryption') ?? false,
    exportable: booleanField(body, 'exportable') ?? false,
    plaintextBackup: booleanField(body, 'allow_plaintext_backup') ?? false,
    autoRotateSeconds: durationField(body, 'auto_rotate_period') ?? 0,
    keyBytes: countField(body, 'key_size') ?? 0,
  }
}

function typeOf(written: string): KeyType {
  if (!isKeyType(written)) throw invalid(`unknown key type ${written}`)
  return written
}

async function deleteKey(keys: KeyStore, tx: Tx, call: Call): Promise<Answer> {
  const name = nameOf(call)
  const { record } = await requireKey(
    keys,
    name,
    `error deleting policy ${name}: could not delete key; not found`,
    tx,
  )
  if (!record.deletionAllowed)
    throw invalid(`error deleting policy ${name}: deletion is not allowed for this key`)
  await keys.remove(tx, name)
  return {}
}

async function rotate(keys: KeyStore, call: Call): Promise<WriteHandler> {
  const { record } = await requireKey(keys, nameOf(call), 'key not found')
  // Before the transaction: an RSA key takes its time.
  const version = await newVersion(record.type, record.keyBytes, call.now)
  return async (tx) => {
    const key = await requireKey(keys, nameOf(call), 'key not found', tx)
    assertUsable(key)
    if (key.record.type !== record.type) throw invalid('the key was replaced while it was being rotated')
    if (key.record.imported && !key.record.allowRotation)
      throw invalid(`imported key ${key.record.name} does not allow rotation within the vault`)
    const rotated = await keys.put(tx, withVersion(key.record, version))
    return { data: keyView(rotated), note: { version: rotated.record.latest } }
  }
}

async function alterKey(
  keys: KeyStore,
  tx: Tx,
  call: Call,
  alter: (record: KeyRecord, call: Call) => KeyRecord,
): Promise<Answer> {
  const name = nameOf(call)
  const { record } = await requireKey(keys, name, `no existing key named ${name} could be found`, tx)
  const key = await keys.put(tx, alter(record, call))
  return { data: keyView(key), note: changesBetween(record, key.record) }
}

/** What an entry tells of a change: the new settings, without the keys. */
function changesBetween(
  before: KeyRecord,
  { versions, ...after }: KeyRecord,
): Record<string, string | number | boolean> {
  const known: Record<string, unknown> = before
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => value !== known[name]))
}

/** What may be changed of a key. `exportable` and the backup in the clear go one way: what left cannot be called back. */
function configured(record: KeyRecord, { body }: Call): KeyRecord {
  const minDecryption = integerField(body, 'min_decryption_version') ?? record.minDecryption
  const minEncryption = integerField(body, 'min_encryption_version') ?? record.minEncryption
  const autoRotateSeconds = durationField(body, 'auto_rotate_period') ?? record.autoRotateSeconds
  // 0 was how the first version was named before there were versions.
  const changed = { ...record, minDecryption: minDecryption || 1, minEncryption, autoRotateSeconds }
  assertMinimum('decryption', minDecryption, record)
  assertMinimum('encryption', minEncryption, record)
  if (minEncryption > 0 && minEncryption < changed.minDecryption)
    throw invalid(
      `cannot set min encryption/decryption values; min encryption version of ${minEncryption} must be greater than or equal to min decryption version of ${changed.minDecryption}`,
    )
  assertRotationPeriod(autoRotateSeconds)
  return {
    ...changed,
    deletionAllowed: booleanField(body, 'deletion_allowed') ?? record.deletionAllowed,
    exportable: record.exportable || booleanField(body, 'exportable') === true,
    plaintextBackup: record.plaintextBackup || booleanField(body, 'allow_plaintext_backup') === true,
  }
}

function assertMinimum(purpose: 'encryption' | 'decryption', wanted: number, record: KeyRecord): void {
  if (wanted < 0) throw invalid(`min ${purpose} version cannot be negative`)
  if (wanted > record.latest)
    throw invalid(`cannot set min ${purpose} version of ${wanted}, latest key version is ${record.latest}`)
  if (wanted > 0 && wanted < record.minAvailable)
    throw invalid(`min ${purpose} version should not be less then min available version`)
}

/** Removes old versions for good. Only those that nothing may use any more. */
function trimmed(record: KeyRecord, { body }: Call): KeyRecord {
  const least = integerField(body, 'min_available_version')
  if (least === undefined) throw invalid('missing min_available_version')
  if (least < record.minAvailable) throw invalid('minimum available version cannot be decremented')
  if (record.minEncryption === 0)
    throw invalid('minimum available version cannot be set when minimum encryption version is not set')
  if (least > record.latest)
    throw invalid('minimum available version cannot be greater than the latest version')
  if (least > record.minEncryption)
    throw invalid('minimum available version cannot be greater than minimum encryption version')
  if (least > record.minDecryption)
    throw invalid('minimum available version cannot be greater than minimum decryption version')
  const versions = Object.fromEntries(
    Object.entries(record.versions).filter(([number]) => Number(number) >= least),
  )
  return { ...record, minAvailable: least, versions }
}
