/** What the server and the front's process say to each other. */

export type FrontLimits = {
  readonly handshakeSeconds: number
  /** Handshakes under way, of all addresses together. */
  readonly handshakes: number
  /** New connections of one address: so many at once, and so many a second. */
  readonly burst: number
  readonly perSecond: number
  readonly connections: number
  /** Of one certificate. */
  readonly connectionsEach: number
  /** Until the first byte after the handshake. */
  readonly firstByteSeconds: number
  /** Without a byte in either direction. */
  readonly idleSeconds: number
}

export const defaultFrontLimits: FrontLimits = {
  handshakeSeconds: 10,
  handshakes: 256,
  burst: 40,
  perSecond: 10,
  connections: 2048,
  connectionsEach: 128,
  firstByteSeconds: 10,
  idleSeconds: 300,
}

/** The front's own certificate, and who signs those of its clients. PEM. */
export type FrontIdentity = {
  readonly certificatePem: string
  readonly keyPem: string
  readonly clientAuthorityPem: string
}

/** Where a certificate leads: to a socket of the proxy, until its time is over; or why nowhere. */
export type Way = { readonly socketPath: string; readonly until: number } | { readonly refusal: string }

/** Why a connection got nowhere. */
export type FrontRefusal = 'rate' | 'busy' | 'handshake' | 'certificate' | 'slow'

export type ToFront =
  | {
      readonly kind: 'listen'
      readonly host: string
      readonly port: number
      readonly identity: FrontIdentity
      readonly limits: FrontLimits
    }
  /** Another certificate for the connections that are yet to come. */
  | { readonly kind: 'identity'; readonly identity: FrontIdentity }
  | { readonly kind: 'way'; readonly id: number; readonly way: Way }
  /** Ends every connection of these certificates. */
  | { readonly kind: 'drop'; readonly fingerprints: readonly string[] }

export type FromFront =
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'enter'; readonly id: number; readonly fingerprint: string; readonly address: string }
  | { readonly kind: 'left'; readonly id: number }
  | { readonly kind: 'refused'; readonly why: FrontRefusal }
