import type { Store } from '../../../store/index.ts'
import type { RevocationLists } from './revocation-lists.ts'
import type { PkiStore } from './store.ts'
import type { TtlLimits } from './validity.ts'

/** What the paths of one mount share. */
export type Mount = {
  readonly store: PkiStore
  /** As the mount is tuned now. */
  limits(): TtlLimits
  readonly lists: RevocationLists
  /** For what happens outside of a request: the end of a lease. */
  readonly write: Store['write']
}
