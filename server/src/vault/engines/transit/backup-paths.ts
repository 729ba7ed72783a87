import type { Tx } from '../../../store/index.ts'
import type { Answer, Call, PathSpec } from '../../engine.ts'
import { booleanField, textField } from '../../fields.ts'
import { readBackup, writeBackup } from './backup.ts'
import { textOf } from './batch.ts'
import { decodeBase64, invalid } from './inputs.ts'
import { type KeyStore, requireKey } from './key-store.ts'
import { nameOf } from './use-key.ts'

/** `backup/` and `restore/`: a whole key in the clear, in the format of Vault and OpenBao, so that keys can move either way. */
export function backupPaths(keys: KeyStore): PathSpec[] {
  const events = { update: 'key.restored' } as const
  const update = (tx: Tx, call: Call): Promise<Answer> => restore(keys, tx, call)
  return [
    { pattern: 'backup/{name}', events: { read: 'key.exported' }, read: (call) => backup(keys, call) },
    { pattern: 'restore', events, update },
    { pattern: 'restore/{name}', events, update },
  ]
}

async function backup(keys: KeyStore, call: Call): Promise<Answer> {
  const name = nameOf(call)
  const key = await requireKey(keys, name, `key "${name}" not found`)
  if (!key.record.exportable) throw invalid('exporting is disallowed on the policy')
  if (!key.record.plaintextBackup) throw invalid('plaintext backup is disallowed on the policy')
  const text = writeBackup(key, call.now)
  return { dataText: textOf({ backup: Buffer.from(text).toString('base64') }), note: { kind: 'backup' } }
}

async function restore(keys: KeyStore, tx: Tx, call: Call): Promise<Answer> {
  const written = textField(call.body, 'backup')
  if (!written) throw invalid("'backup' must be supplied")
  const bytes = decodeBase64(written)
  if (!bytes) throw invalid('the backup is no base64')
  const found = readBackup(bytes.toString('utf8'))
  const record = { ...found, name: nameOf(call) || found.name }
  const known = await keys.get(record.name, tx)
  if (known && booleanField(call.body, 'force') !== true) throw invalid(`key "${record.name}" already exists`)
  await keys.put(tx, record)
  return { note: { name: record.name, versions: record.latest, ...(known ? { replaced: true } : {}) } }
}
