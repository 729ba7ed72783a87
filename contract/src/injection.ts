import { z } from 'zod'

/** What a tool expects a key to begin with, such as `sk_test_`: the placeholder begins with it too. */
const prefix = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,32}$/)
  .optional()
const name = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~[\]-]{1,100}$/)

/**
 * How a lent secret becomes part of a request: the one place where its placeholder is exchanged. Anywhere else the request
 * is refused, so that a secret for a header cannot be made to stand in something that the destination stores.
 */
export const injection = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('anywhere'), prefix }),
  z.strictObject({ kind: z.literal('bearer'), prefix }),
  z.strictObject({ kind: z.literal('basic'), part: z.enum(['username', 'password']), prefix }),
  z.strictObject({ kind: z.literal('header'), name, prefix }),
  z.strictObject({ kind: z.literal('query'), name, prefix }),
  z.strictObject({ kind: z.literal('cookie'), name, prefix }),
  /** A JSON pointer (RFC 6901) into a JSON body; `/name` also names a field of a form. */
  z.strictObject({
    kind: z.literal('body'),
    pointer: z
      .string()
      .max(200)
      .regex(/^(?:\/(?:[^~/]|~[01])*)+$/),
    prefix,
  }),
])
export type Injection = z.output<typeof injection>

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
  }
}
