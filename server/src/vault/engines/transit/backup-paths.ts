import type { Answer, Call, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, textField } from '../../fields.ts'
import { readBackup, writeBackup } from './backup.ts'
import { textOf } from './batch.ts'
import { decodeBase64, invalid } from './inputs.ts'
import { type KeyStore, requireKey } from './key-store.ts'
import { nameOf } from './use-key.ts'

/** `backup/` and `restore/`: a whole key in the clear, in the format of Vault and OpenBao, so that keys can move either way. */
export function backupPaths(keys: KeyStore): PathSpec[] {
  const events = { update: 'key.restored' } as const
  const post = (call: Call): Promise<WriteHandler> => restore(keys, call)
  return [
    { pattern: 'backup/{name}', events: { read: 'key.exported' }, read: (call) => backup(keys, call) },
    { pattern: 'restore', events, post },
    { pattern: 'restore/{name}', events, post },
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

/** Keys are read and proved before the transaction: RSA takes its time. */
async function restore(keys: KeyStore, call: Call): Promise<WriteHandler> {
  const written = textField(call.body, 'backup')
  if (!written) throw invalid("'backup' must be supplied")
  const bytes = decodeBase64(written)
  if (!bytes) throw invalid('illegal base64 data: the backup is no base64')
  const found = readBackup(bytes.toString('utf8'))
  const record = { ...found, name: nameOf(call) || found.name }
  return async (tx) => {
    const known = await keys.get(record.name, tx)
    if (known && booleanField(call.body, 'force') !== true)
      throw invalid(`key "${record.name}" already exists`)
    await keys.put(tx, record)
    return { note: { name: record.name, versions: record.latest, ...(known ? { replaced: true } : {}) } }
  }
}
