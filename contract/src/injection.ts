import { z } from 'zod'

/** What a tool expects a key to begin with, such as `sk_test_`: the placeholder begins with it too. */
const prefix = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,32}$/)
  .optional()
/** Instead of a prefix: a kind of key that the scanner knows by its form, or such a form; the placeholder is as long, of the same letters. */
const like = z
  .string()
  .regex(/^[A-Za-z0-9_.<>|[\] -]{3,100}$/)
  .optional()
const looks = { prefix, like }
const name = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~[\]-]{1,100}$/)

const text = z.string().min(1).max(500)
const httpsUrl = z
  .string()
  .max(500)
  .regex(/^https:\/\/[^\s@#?]+$/, 'an address that begins with https:// and has no user, query or fragment')
const scopePart = z.string().regex(/^[a-z0-9-]{1,60}$/)
const authorizationServer = {
  tokenUrl: httpsUrl,
  clientId: text,
  scope: text.optional(),
  /** Where the client's id and secret stand. */
  signIn: z.enum(['basic', 'body']).default('basic'),
  /** Where a token is revoked (RFC 7009); without it, a token lives until its time is over. */
  revokeUrl: httpsUrl.optional(),
  /** Answers 401 to a GET without a valid token: shows whether a revoked one is refused. */
  probeUrl: httpsUrl.optional(),
  /** A certificate authority of the server's own. */
  caPem: z.string().max(20_000).optional(),
}

const accountAtServer = {
  /** `none` only where the network between is trusted as the server is. */
  tls: z.enum(['verify', 'none']).default('verify'),
  /** A certificate authority of the server's own. */
  caPem: z.string().max(20_000).optional(),
}

export const sshUser = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$/)
/** As in a `known_hosts` file, without the name. */
export const sshHostKey = z
  .string()
  .regex(/^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,2000}={0,2}$/)

/**
 * How a lent secret becomes part of a request: the one place where its placeholder is exchanged. Anywhere else the request
 * is refused, so that a secret for a header cannot be made to stand in something that the destination stores.
 */
export const injection = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('anywhere'), ...looks }),
  z.strictObject({ kind: z.literal('bearer'), ...looks }),
  z.strictObject({ kind: z.literal('basic'), part: z.enum(['username', 'password']), ...looks }),
  z.strictObject({ kind: z.literal('header'), name, ...looks }),
  z.strictObject({ kind: z.literal('query'), name, ...looks }),
  z.strictObject({ kind: z.literal('cookie'), name, ...looks }),
  /** A JSON pointer (RFC 6901) into a JSON body; `/name` also names a field of a form. */
  z.strictObject({
    kind: z.literal('body'),
    pointer: z
      .string()
      .max(200)
      .regex(/^(?:\/(?:[^~/]|~[01])*)+$/),
    ...looks,
  }),
  /** The field is a client secret; what is lent is an access token for it (RFC 6749, 4.4). */
  z.strictObject({
    kind: z.literal('oauth-client'),
    ...authorizationServer,
    audience: text.optional(),
    ...looks,
  }),
  /** The field is a refresh token; what is lent is an access token for it (RFC 6749, 6). */
  z.strictObject({
    kind: z.literal('oauth-refresh'),
    ...authorizationServer,
    /** Another field of the same secret, for clients that have one. */
    clientSecretField: text.optional(),
    ...looks,
  }),
  /** The field is the JSON key file of a Google service account; what is lent is an access token for it. */
  z.strictObject({
    kind: z.literal('google-service-account'),
    scopes: z.array(text).min(1).max(50),
    /** A user of the domain to act for. */
    subject: text.optional(),
    /** As for the authorization servers above. */
    probeUrl: httpsUrl.optional(),
    caPem: z.string().max(20_000).optional(),
    ...looks,
  }),
  /** The field is a GitHub App's private key, PEM; what is lent is an access token of one installation. */
  z.strictObject({
    kind: z.literal('github-app'),
    /** App id or client id. */
    appId: z.string().regex(/^[A-Za-z0-9.]{1,60}$/),
    installationId: z.int().min(1),
    apiUrl: httpsUrl.default('https://api.github.com'),
    /** Fewer than the installation has. */
    repositories: z.array(text).min(1).max(500).optional(),
    permissions: z.record(z.string().regex(/^[a-z_]{1,60}$/), z.enum(['read', 'write', 'admin'])).optional(),
    caPem: z.string().max(20_000).optional(),
    ...looks,
  }),
  /** The field is a secret access key; requests are signed anew with it (Signature Version 4). */
  z.strictObject({
    kind: z.literal('aws'),
    /** Other fields of the same secret. */
    accessKeyIdField: text.default('access_key_id'),
    sessionTokenField: text.optional(),
    /** Only these; any when absent. */
    regions: z.array(scopePart).min(1).optional(),
    services: z.array(scopePart).min(1).optional(),
  }),
  /** The field is a private key, PEM; the connection to the destination is made with it and its certificate (mutual TLS). */
  z.strictObject({
    kind: z.literal('client-certificate'),
    /** Another field of the same secret: the certificate, PEM, followed by those that lead from it to its authority. */
    certificateField: text.default('certificate'),
  }),
  /** The field is the password of a PostgreSQL role; the login is done outside. */
  z.strictObject({
    kind: z.literal('postgres'),
    databases: z.array(text).min(1).max(50),
    ...accountAtServer,
    usernameField: text.default('username'),
    /** The server may ask for the password itself, inside TLS; else it proves that it knows it (SCRAM), or takes a digest. */
    cleartext: z.boolean().default(false),
  }),
  /** The field is the password of a Redis user; the login is done outside. */
  z.strictObject({
    kind: z.literal('redis'),
    ...accountAtServer,
    /** Absent: the user `default`. */
    usernameField: text.optional(),
    /** Commands that would otherwise be refused, such as `EVAL`. */
    allow: z
      .array(z.string().regex(/^[A-Z][A-Z0-9._-]{0,40}$/))
      .max(50)
      .optional(),
  }),
  /** The field is a private key, PEM or OpenSSH; it signs in at these hosts, as these users, and nothing else. */
  z.strictObject({
    kind: z.literal('ssh'),
    users: z.array(sshUser).min(1).max(20),
    /** As a `known_hosts` file has them, without the name: `ssh-ed25519 AAAA…`. */
    hostKeys: z.array(sshHostKey).min(1).max(20),
  }),
])
export type Injection = z.output<typeof injection>

/** What stands in front of the placeholder. */
export const prefixOf = (how: Injection): string => ('prefix' in how ? (how.prefix ?? '') : '')

/** In words, after "lent": `as a bearer token`. */
export function injectionText(how: Injection): string {
  switch (how.kind) {
    case 'anywhere':
      return 'for any place of a request'
    case 'bearer':
      return 'as a bearer token'
    case 'basic':
      return `as the ${how.part} of Basic credentials`
    case 'header':
      return `as the header ${how.name}`
    case 'query':
      return `as the query parameter ${how.name}`
    case 'cookie':
      return `as the cookie ${how.name}`
    case 'body':
      return `as ${how.pointer} in the body`
    case 'oauth-client':
    case 'oauth-refresh':
      return `as an access token of ${hostOf(how.tokenUrl)}`
    case 'aws':
      return 'as a signature for AWS'
    case 'client-certificate':
      return 'as a client certificate, asked for by the header Keyward-Lease'
    case 'google-service-account':
      return 'as an access token of Google'
    case 'github-app':
      return `as an access token of ${hostOf(how.apiUrl)} for installation ${how.installationId}`
    case 'postgres':
      return `as a login of PostgreSQL for ${how.databases.join(', ')}`
    case 'redis':
      return 'as a login of Redis'
    case 'ssh':
      return `as an SSH key of ${how.users.join(', ')}`
  }
}

const hostOf = (url: string): string => url.replace(/^https:\/\//, '').replace(/\/.*$/s, '')
