/** Stands for the vault's sealed storage where no vault is open: what is put is kept in memory, as it is. */
export function keepSealed() {
  const kept = new Map<string, Buffer>()
  const sealed = {
    get: async (path: string) => {
      const bytes = kept.get(path)
      // Its reader may wipe it, as one may what was decrypted.
      return bytes && Buffer.from(bytes)
    },
    put: async (_: unknown, path: string, bytes: Uint8Array) => void kept.set(path, Buffer.from(bytes)),
    delete: async (_: unknown, path: string) => void kept.delete(path),
  }
  return () => sealed
}
