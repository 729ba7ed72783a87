import type { Expr } from '@cedar-policy/cedar-wasm/nodejs'
import type { Entity, EntityRef, Value } from './engine.ts'

const beyond = Symbol('beyond this evaluator')

/** Thrown while compiling, when an expression needs Cedar's own library. */
export const unsupported = (what: string): Error =>
  Object.assign(new Error(`not evaluated here: ${what}`), { [beyond]: true })

export const isUnsupported = (error: unknown): boolean => error instanceof Error && beyond in error

export type Environment = {
  readonly principal: Entity
  readonly action: Entity
  readonly resource: Entity
  readonly context: Readonly<Record<string, Value>>
}

/** While evaluating, an entity stands for itself beside the plain values. */
type Operand = Value | Reference | readonly Operand[] | { readonly [key: string]: Operand }
type Evaluate = (env: Environment) => Operand

const mark = Symbol('entity')
type Reference = { readonly [mark]: EntityRef }

const reference = (ref: EntityRef): Reference => ({ [mark]: ref })
const isReference = (value: Operand): value is Reference => typeof value === 'object' && mark in value

type Parts = Readonly<Record<string, unknown>>
type Binary = { left: Expr; right: Expr }

/** Turns an expression of Cedar's JSON format into a function. Throws when only the library knows it (`isUnsupported`). */
export function compileExpression(expression: Expr): Evaluate {
  const [operator, parts] = Object.entries(expression as Parts)[0] ?? ['', undefined]
  const compile = operators[operator]
  if (!compile) throw unsupported(operator)
  return compile(parts)
}

const binary =
  (apply: (left: Operand, right: Operand, env: Environment) => Operand) =>
  (parts: unknown): Evaluate => {
    const { left, right } = parts as Binary
    const [l, r] = [compileExpression(left), compileExpression(right)]
    return (env) => apply(l(env), r(env), env)
  }

const operators: Readonly<Record<string, (parts: unknown) => Evaluate>> = {
  Value: (value) => {
    const constant = constantOf(value)
    return () => constant
  },
  Var: compileVariable,
  '!': (parts) => {
    const arg = compileExpression((parts as { arg: Expr }).arg)
    return (env) => !bool(arg(env))
  },
  '&&': (parts) => {
    const { left, right } = parts as Binary
    const [l, r] = [compileExpression(left), compileExpression(right)]
    return (env) => bool(l(env)) && bool(r(env))
  },
  '||': (parts) => {
    const { left, right } = parts as Binary
    const [l, r] = [compileExpression(left), compileExpression(right)]
    return (env) => bool(l(env)) || bool(r(env))
  },
  'if-then-else': (parts) => {
    const { if: test, then, else: other } = parts as { if: Expr; then: Expr; else: Expr }
    const [t, a, b] = [compileExpression(test), compileExpression(then), compileExpression(other)]
    return (env) => (bool(t(env)) ? a(env) : b(env))
  },
  '==': binary(equal),
  '!=': binary((left, right) => !equal(left, right)),
  '<': binary((left, right) => long(left) < long(right)),
  '<=': binary((left, right) => long(left) <= long(right)),
  '>': binary((left, right) => long(left) > long(right)),
  '>=': binary((left, right) => long(left) >= long(right)),
  in: binary((left, right, env) => isIn(entity(left), right, env)),
  contains: binary((left, right) => list(left).some((item) => equal(item, right))),
  containsAll: binary((left, right) => containsAll(list(left), list(right))),
  containsAny: binary((left, right) => list(left).some((a) => list(right).some((b) => equal(a, b)))),
  isEmpty: (parts) => {
    const arg = compileExpression((parts as { arg: Expr }).arg)
    return (env) => list(arg(env)).length === 0
  },
  is: compileIs,
  has: compileHas,
  '.': compileAttribute,
  like: compileLike,
  Set: (parts) => {
    const items = (parts as Expr[]).map(compileExpression)
    return (env) => items.map((item) => item(env))
  },
  Record: (parts) => {
    const fields = Object.entries(parts as Record<string, Expr>).map(
      ([key, value]) => [key, compileExpression(value)] as const,
    )
    return (env) => Object.fromEntries(fields.map(([key, value]) => [key, value(env)]))
  },
}

function compileVariable(name: unknown): Evaluate {
  switch (name) {
    case 'principal':
      return (env) => reference(env.principal)
    case 'action':
      return (env) => reference(env.action)
    case 'resource':
      return (env) => reference(env.resource)
    default:
      // The whole context holds a time; only its fields are evaluated here.
      throw unsupported('context as a value')
  }
}

const isContext = (expression: Expr): boolean => 'Var' in expression && expression.Var === 'context'

/** What `left.attr` reads from: the context, an entity's attributes or a record. */
function compileSource(left: Expr): (env: Environment) => Readonly<Record<string, Operand>> {
  if (isContext(left)) return (env) => env.context
  const source = compileExpression(left)
  return (env) => {
    const value = source(env)
    if (isReference(value)) return attributesOf(value[mark], env)
    return record(value)
  }
}

function compileAttribute(parts: unknown): Evaluate {
  const { left, attr } = parts as { left: Expr; attr: string }
  if (isContext(left) && attr === 'now') throw unsupported('a time')
  const source = compileSource(left)
  return (env) => {
    const value = ownOf(source(env), attr)
    if (value === undefined) throw new Error(`there is no attribute ${attr}`)
    return value
  }
}

function compileHas(parts: unknown): Evaluate {
  const { left, attr } = parts as { left: Expr; attr: string | readonly string[] }
  const path = typeof attr === 'string' ? [attr] : attr
  if (isContext(left) && path[0] === 'now') throw unsupported('a time')
  const source = compileSource(left)
  return (env) => {
    let value: Operand | undefined = source(env)
    for (const key of path) {
      const fields: Readonly<Record<string, Operand>> = isReference(value)
        ? attributesOf(value[mark], env)
        : record(value)
      value = ownOf(fields, key)
      if (value === undefined) return false
    }
    return true
  }
}

function compileIs(parts: unknown): Evaluate {
  const { left, entity_type, in: parent } = parts as { left: Expr; entity_type: string; in?: Expr }
  const value = compileExpression(left)
  const within = parent ? compileExpression(parent) : undefined
  return (env) => {
    const ref = entity(value(env))
    return ref.type === entity_type && (within === undefined || isIn(ref, within(env), env))
  }
}

type PatternPart = 'Wildcard' | { Literal: string }

function compileLike(parts: unknown): Evaluate {
  const { left, pattern } = parts as { left: Expr; pattern: readonly PatternPart[] }
  const value = compileExpression(left)
  const pieces = ['']
  for (const part of pattern) {
    if (part === 'Wildcard') pieces.push('')
    else pieces.push((pieces.pop() ?? '') + part.Literal)
  }
  return (env) => matches(text(value(env)), pieces)
}

/** Whether the text is the pieces with anything between them. Leftmost matches suffice, so it never goes back. */
export function matches(value: string, pieces: readonly string[]): boolean {
  const [first = '', ...rest] = pieces
  const last = rest.pop()
  if (last === undefined) return value === first
  if (!value.startsWith(first)) return false
  let from = first.length
  for (const piece of rest) {
    const at = value.indexOf(piece, from)
    if (at < 0) return false
    from = at + piece.length
  }
  return value.length - last.length >= from && value.endsWith(last)
}

function constantOf(value: unknown): Operand {
  if (Array.isArray(value)) return value.map(constantOf)
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw unsupported('a number this large')
  if (typeof value !== 'object' || value === null) return value as Value
  if ('__extn' in value) throw unsupported('an extension value')
  if ('__entity' in value) return reference(value.__entity as EntityRef)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, constantOf(item)]))
}

const same = (a: EntityRef, b: EntityRef): boolean => a.type === b.type && a.id === b.id

const known = (ref: EntityRef, env: Environment): Entity | undefined =>
  [env.principal, env.resource, env.action].find((one) => same(one, ref))

const attributesOf = (ref: EntityRef, env: Environment): Readonly<Record<string, Value>> =>
  known(ref, env)?.attributes ?? {}

function isIn(ref: EntityRef, right: Operand, env: Environment): boolean {
  if (Array.isArray(right)) return right.some((one: Operand) => isIn(ref, one, env))
  const ancestor = entity(right)
  if (same(ref, ancestor)) return true
  return known(ref, env)?.parents.some((parent) => same(parent, ancestor)) ?? false
}

function equal(a: Operand, b: Operand): boolean {
  if (isReference(a) || isReference(b)) {
    return isReference(a) && isReference(b) && same(a[mark], b[mark])
  }
  if (isList(a) || isList(b)) return isList(a) && isList(b) && containsAll(a, b) && containsAll(b, a)
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  const [left, right] = [record(a), record(b)]
  const keys = Object.keys(left)
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => {
      const [x, y] = [ownOf(left, key), ownOf(right, key)]
      return x !== undefined && y !== undefined && equal(x, y)
    })
  )
}

const containsAll = (set: readonly Operand[], items: readonly Operand[]): boolean =>
  items.every((item) => set.some((one) => equal(one, item)))

const isList = (value: Operand): value is readonly Operand[] => Array.isArray(value)

const ownOf = (fields: Readonly<Record<string, Operand>>, key: string): Operand | undefined =>
  Object.hasOwn(fields, key) ? fields[key] : undefined

function bool(value: Operand): boolean {
  if (typeof value !== 'boolean') throw new Error('not a boolean')
  return value
}

function long(value: Operand): number {
  if (typeof value !== 'number') throw new Error('not a number')
  return value
}

function text(value: Operand): string {
  if (typeof value !== 'string') throw new Error('not a string')
  return value
}

function list(value: Operand): readonly Operand[] {
  if (!isList(value)) throw new Error('not a set')
  return value
}

function entity(value: Operand): EntityRef {
  if (!isReference(value)) throw new Error('not an entity')
  return value[mark]
}

function record(value: Operand): Readonly<Record<string, Operand>> {
  if (typeof value !== 'object' || isList(value) || isReference(value)) throw new Error('not a record')
  return value as Readonly<Record<string, Operand>>
}
