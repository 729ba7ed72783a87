import type { Principal } from '../../core/index.ts'
import type { Acl } from '../acl/acl.ts'
import type { Subject } from '../identity/records.ts'

/** What is stored of a token, encrypted. The token itself is not: its digest finds the row. */
export type TokenRecord = {
  /** Public name, for audit: it neither uses nor revokes the token. */
  readonly id: string
  readonly accessor: string
  /** Row of the parent; null for an orphan, which no other token's end takes along. */
  readonly parent: string | null
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | null
  readonly displayName: string
  /** Where it was made, for example `auth/token/create`. */
  readonly path: string
  /** Milliseconds, as all times of the record. */
  readonly createdAt: number
  /** 0: without end. */
  readonly creationTtlSeconds: number
  readonly expiresAt: number | null
  readonly explicitMaxTtlSeconds: number
  readonly periodSeconds: number
  /** null: unlimited. */
  readonly usesLeft: number | null
  readonly renewable: boolean
  readonly lastRenewedAt: number | null
  /** Greatest age of a token that an auth method or a role limits more than the system does. */
  readonly maxTtlSeconds?: number
  /** Addresses from which it may be used; absent: any. */
  readonly boundCidrs?: readonly string[]
  /** The token role it was made with. */
  readonly role?: string
  /** Who it belongs to, whichever way they signed in. */
  readonly entityId?: string
  /** The auth mount that gave it out, and for whom: a user, or a role of the mount. */
  readonly issuer?: { readonly mountId: string; readonly name: string }
  /** Not stored anywhere but in the token itself; it can be neither renewed nor revoked. */
  readonly batch?: true
}

/** A stored token with its row. */
export type StoredToken = { readonly row: string; readonly record: TokenRecord }

/** A token that has proved itself and is kept in memory until something about it changes. */
export type LiveToken = StoredToken & {
  readonly principal: Principal
  readonly acl: Acl
  /** The entity that it belongs to, as it is now, with its groups. */
  readonly subject?: Subject
  /** The earliest end among itself and its ancestors. */
  readonly endsAt: number
  /** Set when it is revoked while a request of it is under way. */
  revoked: boolean
}
