/** A folder, a link or a file with its bytes. Paths are relative, with `/`. */
export type TreeEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | (FileHead & { readonly kind: 'file'; readonly body: AsyncIterable<Uint8Array> })

type FileHead = { readonly path: string; readonly size: number; readonly executable: boolean }

/** Files on their way: each folder before what is in it, each body read before the next entry is asked for. */
export type FileTree = AsyncIterable<TreeEntry>

/** Takes files, by names that were checked: each folder before what is in it. */
export type TreeTaker = {
  directory(path: string): Promise<void>
  /** Must read the body whole. */
  file(head: FileHead, body: AsyncIterable<Uint8Array>): Promise<void>
}
