import type { AuditEntry, EventName, Proof } from '@keyward/contract'
import type { Secret } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { LiveToken, TokenRecord } from './tokens/token-record.ts'

export type Operation = 'read' | 'list' | 'update' | 'delete' | 'patch'

export type Body = Readonly<Record<string, unknown>>

/** One request as a path of an engine sees it. */
export type Call = OpenCall & {
  readonly token: LiveToken
  /** The token as the caller sent it. */
  readonly presented: Secret
}

/** One request of which nobody has yet proved anything. */
export type OpenCall = {
  readonly operation: Operation
  /** The whole path below `/v1/`, and the part of it below the mount. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly body: Body
  readonly presented: Secret | undefined
  readonly now: Date
  /** From the socket. */
  readonly remoteAddress: string | undefined
  /** The caller wants the answer kept behind a token of this life, and only the token sent. */
  readonly wrapSeconds: number | undefined
}

/** A token that stands for an answer which it can fetch once. */
export type WrapInfo = {
  readonly token: Secret
  readonly accessor: string
  readonly ttlSeconds: number
  readonly createdAt: Date
  readonly creationPath: string
  readonly wrappedAccessor?: string | undefined
}

export type RawAnswer = { readonly contentType: string; readonly bytes: Uint8Array }

/** What a path answers. Everything is optional: nothing at all is 204. */
export type Answer = {
  readonly data?: Readonly<Record<string, unknown>>
  /** Instead of `data`: its JSON text, when it holds what was stored and need not be taken apart. */
  readonly dataText?: Secret
  /** Sent instead of `data` for tokens. */
  readonly auth?: Readonly<Record<string, unknown>>
  /** Repeats `data` at the top level, as the system's paths do for old clients. */
  readonly flat?: boolean
  /** Instead of everything else: an answer that was rendered when it was wrapped. */
  readonly whole?: Secret
  /** Instead of everything else: what is no JSON, such as a certificate. Never a secret. */
  readonly raw?: RawAnswer
  readonly wrapped?: WrapInfo
  /** What the caller has to give back, or to renew, before `leaseSeconds` are over. */
  readonly lease?: { readonly id: string; readonly renewable: boolean }
  readonly leaseSeconds?: number
  readonly warnings?: readonly string[]
  readonly status?: number
  /** A refusal in words, with its status; nothing else is sent. */
  readonly errors?: readonly string[]
  /** What is recorded about it beyond the path. Never a value. */
  readonly note?: AuditEntry['detail']
  /** Who it turned out to be, where nobody had signed in before. */
  readonly actor?: string
}

/**
 * Undefined: there is nothing at this path (404). A function: something has to be stored first, and it does that. What is in memory is
 * answered without a promise.
 */
export type ReadHandler = (call: Call) => Found | Promise<Found>
type Found = Answer | WriteHandler | undefined
export type WriteHandler = (tx: Tx, call: Call) => Promise<Answer | undefined>
/**
 * Says what would be given out, and makes nothing yet. The lease with its `state` is on disk before `make` runs, so that whatever
 * happens in between, what was made is known and will be removed. What needs no lease after all is answered as by `post`.
 */
export type GrantHandler = (call: Call) => Promise<Grant | Answer | WriteHandler | undefined>
export type Grant = {
  /** What the role asks for; the mount's and the system's limits cut it down. 0: the mount's default. */
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  readonly renewable: boolean
  /** Role of the mount, for quotas and for audit. */
  readonly role: string
  /** The most leases that the role may have at once; 0: no limit. */
  readonly mostLeases: number
  /** All that is needed to end it later, chosen before anything is made, and to show that it has ended. Kept in the barrier, never shown. */
  readonly state: LeaseState
  /**
   * Makes it outside, until `expiresAt`, and returns the `data` of the answer. When it fails, or takes longer than a minute, the
   * caller is refused and `endLease` is called once it has settled, whether or not anything was made.
   */
  make(expiresAt: Date): Promise<Readonly<Record<string, unknown>>>
}
export type LeaseState = Readonly<Record<string, string | number | boolean>>
/** A lease as the engine that gave it out sees it again. */
export type EngineLease = { readonly id: string; readonly role: string; readonly state: LeaseState }

/** Checks what can be checked outside any transaction, and returns the rest, which runs inside one. */
type OpenHandler = (call: OpenCall) => Promise<(tx: Tx) => Promise<Answer | undefined>>

/**
 * One path of an engine, as data: routing, permission, transaction and audit are all read from here. Reads are answered after
 * their audit entry is stored; writes run in the transaction that stores it.
 */
export type PathSpec = {
  /** Segments below the mount: `{name}` takes one, `{name...}` at the end takes the rest, which may be empty. */
  readonly pattern: string
  readonly read?: ReadHandler
  readonly list?: ReadHandler
  readonly update?: WriteHandler
  /** Instead of `update`, where most calls store nothing, or where slow work comes before the transaction. */
  readonly post?: ReadHandler
  readonly delete?: WriteHandler
  readonly patch?: WriteHandler
  /** Instead of `read`, and of `update` where `grantsBy` says so: gives out a credential with a lease. */
  readonly grant?: GrantHandler
  readonly grantsBy?: readonly ('read' | 'update')[]
  /**
   * Slow work outside before `update`, `patch` or `delete`, for a caller who is authorised; it throws to refuse. What it returns is
   * called after the transaction, however that went.
   */
  readonly prepare?: (call: Call) => Promise<() => void>
  /** Writing here needs no token: a login proves who it is in another way. */
  readonly open?: OpenHandler
  /** What `open` answers; writing alone when absent. */
  readonly opens?: readonly ('read' | 'update')[]
  /** What anybody may have, with or without a token. It stores nothing. */
  readonly anybody?: {
    readonly operations: readonly Operation[]
    readonly answer: (call: OpenCall) => Promise<Answer | undefined>
  }
  /** What a token that is not valid is told here, with 400; elsewhere it is 403. */
  readonly tokenRefusal?: string
  /** All that may be sent here; whoever sends more is told that it was ignored. Absent: anything. */
  readonly takes?: readonly string[]
  /** Tells `create` from `update`; without it, writing is always `update`. */
  readonly exists?: (call: Call, reader?: Reader) => Promise<boolean>
  /** Needs the capability `sudo` too: always, or for these operations. */
  readonly sudo?: boolean | readonly Operation[]
  /** Names in it are the same in upper and lower case, so that a rule which denies one denies the other. */
  readonly foldsCase?: boolean
  /** Every valid token may ask; the handler shows each only what its policies touch. */
  readonly anyToken?: boolean
  /** Vault has it and this server does not: the reason. */
  readonly refused?: string
  /** Event by operation, where it is more than `vault.request`. */
  readonly events?: Partial<Record<Operation, EventName>>
  /** What the audit entry is about; the request's path when absent. */
  readonly target?: (call: Call) => string
}

/** What a mount does: its type and its paths. A new engine is a new value of this type. */
export type Engine = {
  readonly type: string
  readonly paths: readonly PathSpec[]
  /** Removes all that it stored, when its mount goes. */
  wipe(tx: Tx): Promise<void>
  /** Removes what has expired and nobody will use again; returns how many. Called now and then. */
  tidy?(tx: Tx, now: Date): Promise<number>
  /** Of an auth method: how far a token that it gave out may be renewed now; it throws when it may not. */
  renewal?(tx: Tx, token: TokenRecord): Promise<RenewalTerms>
  /**
   * Of an engine that grants. Ends what a lease stands for; what is gone already is no failure. Safe to repeat, also at the same
   * time: it is called until it succeeds, and twice for a lease that never was given out. Says what was answered when it was tried
   * once more, where it can be.
   */
  endLease?(lease: EngineLease): Promise<readonly Proof[] | undefined>
  /** Lets it live until `expiresAt` where it lives outside; it throws when the role is gone or says no. */
  extendLease?(lease: EngineLease, expiresAt: Date): Promise<void>
}

/** 0 and undefined: nothing beyond what the token was made with. */
export type RenewalTerms = {
  readonly ttlSeconds?: number
  readonly maxTtlSeconds?: number
  readonly periodSeconds?: number
}
