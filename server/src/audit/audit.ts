import type { AuditEntry, AuditHead, EventName, Json } from '@keyward/contract'
import type { Reader, Tx } from '../store/index.ts'

/** What a domain says; the log adds place, time and hash. `detail` never holds a secret. */
export type EntryInput = {
  readonly type: EventName
  readonly outcome: AuditEntry['outcome']
  /** `actorOf(principal)`. */
  readonly actor: string
  /** `<kind>:<id>`, for example `secret:secret/shop/stripe`. */
  readonly target: string
  /** The run, request or scan that it belongs to; empty when none. */
  readonly correlation?: string
  readonly detail?: Json
}

export type Audit = {
  /** Appends to the chain in the caller's transaction: the change and its entry commit together. */
  record(tx: Tx, entry: EntryInput): Promise<void>
  /** Appends in a transaction of its own and resolves when it is on disk: an intent before an outside effect, a refusal. */
  recordNow(entry: EntryInput): Promise<void>
  page(query: {
    cursor?: string | undefined
    limit: number
    order: 'asc' | 'desc'
    type?: string | undefined
    correlation?: string | undefined
  }): Promise<{ items: AuditEntry[]; next: string | null }>
  head(reader?: Reader): Promise<AuditHead>
  /** `ok`, or why entries cannot be written. */
  health(): { state: 'ok' | 'failing'; reason: string | null; seq: number }
}
