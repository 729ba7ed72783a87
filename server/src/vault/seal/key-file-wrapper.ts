import { AppError } from '../../core/index.ts'
import { decrypt, encrypt } from '../barrier/cipher.ts'
import { createKeyFile, readKeyFile } from './key-file.ts'
import type { KeyWrapper } from './key-wrapper.ts'
import { rootContext } from './seal-config.ts'

/** The key lies in a file beside the database, or wherever the file is put. It is made when it is needed for the first time. */
export function createKeyFileWrapper(path: string): KeyWrapper {
  return {
    kind: 'keyfile',
    async wrap(rootKey) {
      const key = await createKeyFile(path)
      const wrapped = encrypt(key, 0, rootContext, rootKey)
      key.fill(0)
      return wrapped
    },
    async unwrap(wrapped) {
      const key = await readKeyFile(path)
      const rootKey = decrypt(key, rootContext, wrapped)
      key.fill(0)
      if (!rootKey)
        throw new AppError(
          'vault.share_invalid',
          `the key file ${path} does not open this vault: it belongs to another one. Put the right file back.`,
        )
      return rootKey
    },
  }
}
