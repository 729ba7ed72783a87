import { z } from 'zod'
import type { Code } from './errors.ts'

type Shape = Record<string, z.ZodType>

/**
 * One operation of the API as data: its address, its shapes and the failures that a caller must expect. The HTTP routes,
 * the OpenAPI document, the command line and the console's client are all read from it.
 */
export type Operation<
  P extends Shape = Shape,
  Q extends Shape = Shape,
  B extends Shape = Shape,
  R extends z.ZodType = z.ZodType,
> = {
  /** `<noun>.<verb>`, also the name of the Cedar action that policy decides on. */
  readonly name: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path with `{param}` places, below `/api/v1`. */
  readonly path: string
  readonly summary: string
  /** `public` operations are answered without a session. */
  readonly access: 'public' | 'policy'
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly result: R
  readonly fails: readonly Code[]
}

type Spec<P extends Shape, Q extends Shape, B extends Shape, R extends z.ZodType> = Pick<
  Operation<P, Q, B, R>,
  'name' | 'method' | 'path' | 'summary' | 'result'
> & { access?: 'public' | 'policy'; params?: P; query?: Q; body?: B; fails?: readonly Code[] }

type None = Record<never, never>

export function operation<
  R extends z.ZodType,
  P extends Shape = None,
  Q extends Shape = None,
  B extends Shape = None,
>(spec: Spec<P, Q, B, R>): Operation<P, Q, B, R> {
  return {
    access: 'policy',
    params: {} as P,
    query: {} as Q,
    body: {} as B,
    ...spec,
    fails: spec.fails ?? [],
  }
}

/** `unknown` for a shape without fields: an empty object type would forbid the fields of the others. */
type Fields<S extends Shape, Side extends 'in' | 'out'> = [keyof S] extends [never]
  ? unknown
  : z.ZodObject<S> extends infer O extends z.ZodType
    ? Side extends 'in'
      ? z.input<O>
      : z.output<O>
    : never

/** What a handler receives: params, query and body in one object (their names never collide; a test checks it). */
export type InputOf<O> =
  O extends Operation<infer P, infer Q, infer B, z.ZodType>
    ? Fields<P, 'out'> & Fields<Q, 'out'> & Fields<B, 'out'>
    : never
/** What a caller passes. */
export type ArgumentsOf<O> =
  O extends Operation<infer P, infer Q, infer B, z.ZodType>
    ? Fields<P, 'in'> & Fields<Q, 'in'> & Fields<B, 'in'>
    : never
export type ResultOf<O> = O extends Operation<Shape, Shape, Shape, infer R> ? z.output<R> : never

/** One page of a list: `next` is the cursor of the following page, null at the end. */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable() })

export const paging = {
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
}
/** ISO 8601 in UTC with milliseconds. */
export const timestamp = z.iso.datetime()
export const json: z.ZodType<Json> = z.json()
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
