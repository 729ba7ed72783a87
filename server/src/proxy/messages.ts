import type { Code, OpenConnections } from '@keyward/contract'
import type { EgressRule } from './destination.ts'
import type { Place } from './places.ts'
import type { Scope, Signing } from './sigv4.ts'

/** What server and child say to each other over their private channel, several at a time. */

export type Limits = {
  readonly headerBytes: number
  readonly requestBodyBytes: number
  /** A textual body of a declared length up to this is read whole, so that placeholders in it can be exchanged. */
  readonly exchangeBodyBytes: number
  /** A body up to this is read whole when an AWS signature over it must be made. */
  readonly signedBodyBytes: number
  readonly connections: number
  /** Requests at the same time on one connection of HTTP/2. */
  readonly streams: number
  readonly handshakeSeconds: number
  readonly connectSeconds: number
  /** Without a byte in either direction. */
  readonly idleSeconds: number
  /** Refused attempts, each of which is recorded; then the way out is closed, so that a sandbox cannot fill the audit log. */
  readonly refusals: number
}

export const defaultLimits: Limits = {
  headerBytes: 32 * 1024,
  // What object stores take at once; it passes through, and is never held.
  requestBodyBytes: 5 * 1024 ** 3,
  exchangeBodyBytes: 64 * 1024,
  signedBodyBytes: 2 * 1024 * 1024,
  connections: 128,
  streams: 100,
  handshakeSeconds: 10,
  connectSeconds: 15,
  idleSeconds: 300,
  refusals: 1000,
}

export type AuthorityState = { readonly certificatePem: string; readonly keyPem: string }

export type OpenChannel = {
  readonly sandboxId: string
  readonly socketPath: string
  readonly allow: readonly EgressRule[]
  readonly limits: Limits
  /** Ask the server for addresses instead of the machine's resolver. */
  readonly lookup: boolean
  /** From before a restart of the child. */
  readonly authority?: AuthorityState
  readonly values: readonly string[]
}

/** One request, or one refused attempt, as it is recorded. */
export type Report = {
  readonly sandboxId: string
  readonly host: string
  readonly port: number
  readonly method: string
  /** Without its query; with placeholders, never values. */
  readonly path: string
  /** What the client was answered; null when the answer never began. */
  readonly status: number | null
  readonly outcome: 'allowed' | 'denied' | 'misused' | 'failed'
  readonly reason: string | null
  readonly leaseIds: readonly string[]
  readonly placeholders: number
  readonly bytesOut: number
  readonly bytesIn: number
  readonly redactions: number
  /** Whom a relayed connection signed in as. */
  readonly user?: string
}

/** What a lease with a limit has left, of both directions together. */
export type ByteBudget = { readonly leaseId: string; readonly bytesLeft: number }

export type ResolveClaim = {
  readonly sandboxId: string
  readonly placeholder: string
  readonly host: string
  readonly port: number
  readonly method: string
  readonly path: string
  readonly places: readonly Place[]
  /** What the request's AWS signature is for. */
  readonly signing: Scope | undefined
}

/** A login that a client in the sandbox began with a placeholder for its password. */
export type SignInClaim = {
  readonly sandboxId: string
  readonly kind: 'postgres' | 'redis'
  readonly placeholder: string
  readonly host: string
  readonly port: number
  /** As the client says; empty where it says none. */
  readonly user: string
  readonly database: string
}

/** What a PostgreSQL server asks for, so that the server can answer without showing the password to the child. */
export type Challenge =
  | { readonly kind: 'scram'; readonly clientFirstBare: string; readonly serverFirst: string }
  | { readonly kind: 'md5'; readonly salt: Uint8Array }
  | { readonly kind: 'cleartext' }

/** What the child may ask for, and the answers. */
export type Questions = {
  admit: {
    ask: { sandboxId: string; host: string; port: number; passThrough: boolean }
    answer: { allow: boolean; reason: string }
  }
  lookup: { ask: { sandboxId: string; host: string }; answer: string[] }
  resolve: {
    ask: ResolveClaim
    answer: {
      value: string
      leaseId: string | null
      /** Of the lease and of what it is a part of, where they have a limit. */
      budgets: readonly ByteBudget[]
      /** What still uses it then is cut. */
      expiresAt: Date | null
      prefix: string
      aws: Pick<Signing, 'accessKeyId' | 'sessionToken'> | null
      /** With it, `value` is the private key to connect with. */
      certificatePem: string | null
    }
  }
  signIn: {
    ask: SignInClaim
    answer: {
      /** Good for one proof. */
      loginId: string
      username: string
      /** Where the protocol has no other way than to send it. */
      password: string | null
      leaseId: string
      budgets: readonly ByteBudget[]
      /** What still uses it then is cut. */
      expiresAt: Date
    }
  }
  /** `verifier` is what a SCRAM server must answer. */
  prove: {
    ask: { sandboxId: string; loginId: string; challenge: Challenge }
    answer: { text: string; verifier: string }
  }
  /** One message of an SSH agent's protocol, with the binds that came before it. */
  sshAgent: {
    ask: { sandboxId: string; message: Uint8Array; binds: readonly Uint8Array[] }
    answer: { reply: Uint8Array; refusal: string | null }
  }
  /** By which lease SSH may be spoken there. */
  sshTunnel: {
    ask: { sandboxId: string; host: string; port: number }
    answer: { leaseId: string; budgets: readonly ByteBudget[]; expiresAt: Date }
  }
  record: { ask: Report; answer: null }
}
export type Question = keyof Questions

export type Refusal = { readonly code: Code; readonly reason: string }

export type Reply<Q extends Question> =
  | { readonly answer: Questions[Q]['answer'] }
  | { readonly refusal: Refusal }
/** Asks the server; a question that it does not answer is refused. */
export type Ask = <Q extends Question>(question: Q, ask: Questions[Q]['ask']) => Promise<Reply<Q>>

export type ToChild =
  | { readonly kind: 'open'; readonly channel: OpenChannel }
  | { readonly kind: 'close'; readonly sandboxId: string }
  /** From now on; what is open goes on. */
  | { readonly kind: 'allow'; readonly sandboxId: string; readonly allow: readonly EgressRule[] }
  /** Ends what uses the lease; without one, every connection of the sandbox. */
  | {
      readonly kind: 'cut'
      readonly sandboxId: string
      readonly leaseId: string | null
      readonly reason: string
    }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: Reply<Question> }

export type ToServer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened'; readonly sandboxId: string; readonly authority: AuthorityState }
  | { readonly kind: 'failed'; readonly sandboxId: string; readonly reason: string }
  | { readonly kind: 'closed'; readonly sandboxId: string }
  | { readonly kind: 'open now'; readonly sandboxId: string; readonly counts: OpenConnections }
  | {
      [Q in Question]: {
        readonly kind: 'ask'
        readonly id: number
        readonly question: Q
        readonly ask: Questions[Q]['ask']
      }
    }[Question]
