/** A folder, a link or a file with its bytes. Paths are relative, with `/`. */
export type TreeEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | (FileHead & { readonly kind: 'file'; readonly body: AsyncIterable<Uint8Array> })

type FileHead = { readonly path: string; readonly size: number; readonly executable: boolean }

/** Files on their way: each folder before what is in it, each body read before the next entry is asked for. */
export type FileTree = AsyncIterable<TreeEntry>

/** Takes files, by names that are portable: each folder before what is in it. */
export type TreeTaker = {
  directory(path: string): Promise<void>
  /** Must read the body whole. */
  file(head: FileHead, body: AsyncIterable<Uint8Array>): Promise<void>
}

/** A relative path of plain names: no `..`, no empty part, no control characters. */
export function isPortable(path: string): boolean {
  if (path.length === 0 || path.length > 4096) return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return false
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.length <= 255)
}
