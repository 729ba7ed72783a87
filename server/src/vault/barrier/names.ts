import type { KeyRing } from './key-ring.ts'
import { corrupt } from './stored-ring.ts'

/** The name of what lies directly in a folder, from its row. */
export function openName(keyRing: KeyRing, folder: string, id: Uint8Array, sealed: Uint8Array): string {
  const plain = keyRing.decrypt(`name\0${Buffer.from(id).toString('hex')}`, sealed)
  if (!plain) throw corrupt('A name')
  const name = plain.toString('utf8')
  if (!keyRing.nameOf('entry', folder + name).equals(id)) throw corrupt('A name')
  return name
}

/** `a/b/c` and `a/b/c/` lie in `a/b/`; `a` lies in the root, which is empty. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/', path.length - 2) + 1)
}

export const byCodePoint = (a: string, b: string): number => (a < b ? -1 : 1)
