import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { Secret } from './core/index.ts'
import type { Store } from './store/index.ts'
import type { SealedStorage, Vault } from './vault/index.ts'

/** Keyward's own keys: made once, kept in the vault, so that they are there only while it is open. */
export function createKeys(store: Pick<Store, 'write'>) {
  async function kept(sealed: SealedStorage, path: string, make: () => Buffer): Promise<Buffer> {
    const found = await sealed.get(path)
    if (found) return found
    return store.write(async (tx) => {
      const already = await sealed.get(path, tx)
      if (already) return already
      const made = make()
      await sealed.put(tx, path, made)
      return made
    })
  }
  return {
    fingerprint: (sealed: SealedStorage) => kept(sealed, 'keys/fingerprint', () => randomBytes(32)),
    /** What Temporal keeps of runs is sealed with it; 32 bytes in base64. Undefined while the vault is sealed. */
    async temporal({ status, sealed }: Pick<Vault, 'status' | 'sealed'>): Promise<Secret | undefined> {
      if (status().sealed) return undefined
      const key = await kept(sealed, 'keys/temporal-payloads', () => randomBytes(32))
      return new Secret(key.toString('base64'))
    },
    async signing(sealed: SealedStorage): Promise<KeyObject> {
      const der = await kept(sealed, 'keys/audit-signing', () =>
        generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }),
      )
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    },
  }
}
