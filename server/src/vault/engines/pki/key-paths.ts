import { randomUUID } from 'node:crypto'
import type { Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { countField, textField } from '../../fields.ts'
import { invalid } from '../record-fields.ts'
import { allIssuers, allKeys, resolveKey } from './authority.ts'
import { assertName, newName } from './new-issuer.ts'
import { privateKeyFields } from './output.ts'
import { askedFrom } from './profile.ts'
import { hexPairs } from './serial.ts'
import type { KeyRecord, PkiStore } from './store.ts'
import { keyIdOf, keyKindOf, newPrivateKey, spkiOf } from './x509/keys.ts'

/** Keys of issuers: made here, named, removed. Their private halves are shown to nobody later on. */
export function keyPaths(store: PkiStore): PathSpec[] {
  return [
    { pattern: 'keys', list: () => listKeys(store) },
    {
      pattern: 'keys/generate/{exported}',
      post: (call) => generateKey(store, call),
      events: { update: 'key.created' },
    },
    {
      pattern: 'key/{key}',
      read: (call) => readKey(store, call),
      update: (tx, call) => renameKey(store, tx, call),
      delete: (tx, call) => deleteKey(store, tx, call),
      events: { update: 'key.changed', delete: 'key.deleted' },
    },
    {
      pattern: 'config/keys',
      read: async () => ({ data: await store.config('keys') }),
      update: (tx, { body }) => setDefaultKey(store, tx, textField(body, 'default') ?? ''),
    },
  ]
}

async function listKeys(store: PkiStore): Promise<Answer | undefined> {
  const keys = await allKeys(store)
  const { default: chosen } = await store.config('keys')
  if (keys.length === 0) return undefined
  const info = keys.map(({ record: { id, name } }) => [id, { key_name: name, is_default: id === chosen }])
  return { data: { keys: keys.map(({ record }) => record.id), key_info: Object.fromEntries(info) } }
}

async function generateKey(store: PkiStore, { params, body }: Call): Promise<WriteHandler> {
  const exported = params['exported']
  if (exported !== 'internal' && exported !== 'exported') throw invalid('Unknown type of key to generate')
  const kind = keyKindOf(textField(body, 'key_type') || 'rsa', countField(body, 'key_bits') ?? 0)
  const asked = askedFrom({ private_key_format: 'der' })
  const key = await newPrivateKey(kind)
  return async (tx) => {
    const name = await newName(store, body, 'key', tx)
    const record: KeyRecord = {
      id: randomUUID(),
      name,
      type: kind.type,
      pem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
    await store.keys.put(tx, record.id, record)
    if ((await store.config('keys', tx)).default === '')
      await store.setConfig(tx, 'keys', { default: record.id })
    return {
      data: {
        key_id: record.id,
        key_name: name,
        key_type: kind.type,
        ...(exported === 'exported' ? { private_key: privateKeyFields(key, asked)['private_key'] } : {}),
      },
      note: { key: record.id, exported: exported === 'exported' },
    }
  }
}

async function readKey(store: PkiStore, { params }: Call): Promise<Answer> {
  const { record, key } = await resolveKey(store, params['key'] ?? '')
  return {
    data: {
      key_id: record.id,
      key_name: record.name,
      key_type: record.type,
      subject_key_id: hexPairs(keyIdOf(spkiOf(key)).toString('hex')),
    },
  }
}

async function renameKey(store: PkiStore, tx: Tx, { params, body }: Call): Promise<Answer> {
  const { record } = await resolveKey(store, params['key'] ?? '', tx)
  const name = (textField(body, 'key_name') ?? '').trim()
  assertName(name, 'key')
  const taken = (await allKeys(store, tx)).some(
    ({ record: other }) => name !== '' && other.name === name && other.id !== record.id,
  )
  if (taken) throw invalid('key name already in use')
  await store.keys.put(tx, record.id, { ...record, name })
  return { data: { key_id: record.id, key_name: name, key_type: record.type }, note: { key: record.id } }
}

async function deleteKey(store: PkiStore, tx: Tx, { params }: Call): Promise<Answer> {
  const reference = params['key'] ?? ''
  const found = (await allKeys(store, tx)).find(
    ({ record: { id, name } }) => id === reference || name === reference,
  )
  // Gone already is as good as gone.
  if (!found && reference !== 'default') return {}
  const { record } = found ?? (await resolveKey(store, reference, tx))
  const user = (await allIssuers(store, tx)).find((issuer) => issuer.record.keyId === record.id)
  if (user) throw invalid(`Failed to Delete Key.  Key in Use by Issuer: ${user.record.id}`)
  await store.keys.remove(tx, record.id)
  const wasDefault = (await store.config('keys', tx)).default === record.id
  if (wasDefault) await store.setConfig(tx, 'keys', { default: '' })
  return {
    warnings: wasDefault
      ? [`Deleted key ${record.id} was the default key: writing config/keys chooses another.`]
      : [],
    note: { key: record.id },
  }
}

async function setDefaultKey(store: PkiStore, tx: Tx, reference: string): Promise<Answer> {
  if (reference === '' || reference === 'default')
    throw invalid("Invalid key specification; must be non-empty and can't be 'default'.")
  const { record } = await resolveKey(store, reference, tx)
  await store.setConfig(tx, 'keys', { default: record.id })
  return { data: { default: record.id }, note: { key: record.id } }
}
