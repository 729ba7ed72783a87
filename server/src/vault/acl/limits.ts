import type { Operation } from '../engine.ts'
import { fitsGlob } from '../glob.ts'

/** What a rule allows of a request beyond its capability. Names of parameters are in lower case. */
export type Limits = {
  /** Parameter to the values it may have; none listed means any. Absent: every parameter may be sent. */
  readonly allowed?: ValuesByName
  readonly denied?: ValuesByName
  readonly required?: readonly string[]
  readonly minWrapSeconds?: number
  readonly maxWrapSeconds?: number
}
export type ParameterValue = string | number | boolean
type ValuesByName = ReadonlyMap<string, readonly ParameterValue[]>

type Request = {
  readonly operation: Operation
  readonly body: Readonly<Record<string, unknown>>
  readonly wrapSeconds: number | undefined
}

/** Two policies on the same path: what either allows is allowed, what either denies or requires holds. */
export function uniteLimits(a: Limits | undefined, b: Limits | undefined): Limits | undefined {
  if (!a || !b) return a ?? b
  const required = [...new Set([...(a.required ?? []), ...(b.required ?? [])])]
  const allowed = uniteValues(a.allowed, b.allowed)
  const denied = uniteValues(a.denied, b.denied)
  const minWrapSeconds = bounded(Math.min, a.minWrapSeconds, b.minWrapSeconds)
  const maxWrapSeconds = bounded(Math.max, a.maxWrapSeconds, b.maxWrapSeconds)
  return {
    ...(allowed ? { allowed } : {}),
    ...(denied ? { denied } : {}),
    ...(required.length > 0 ? { required } : {}),
    ...(minWrapSeconds === undefined ? {} : { minWrapSeconds }),
    ...(maxWrapSeconds === undefined ? {} : { maxWrapSeconds }),
  }
}

/** What about a request a rule does not let pass. Names and bounds only, never a value. */
export type Violation =
  | { readonly kind: 'wrapping'; readonly minSeconds: number; readonly maxSeconds: number | undefined }
  | { readonly kind: 'missing' | 'denied' | 'not-allowed'; readonly names: readonly string[] }

/** The first limit that a request breaks; undefined when it keeps all of them. */
export const violationOf = (limits: Limits, request: Request): Violation | undefined =>
  wrappingViolation(limits, request.wrapSeconds) ?? parameterViolation(limits, request)

function wrappingViolation(
  { minWrapSeconds, maxWrapSeconds }: Limits,
  asked: number | undefined,
): Violation | undefined {
  if (minWrapSeconds === undefined && maxWrapSeconds === undefined) return undefined
  const minSeconds = minWrapSeconds ?? 0
  const fits =
    asked !== undefined && asked >= minSeconds && asked <= (maxWrapSeconds ?? Number.POSITIVE_INFINITY)
  return fits ? undefined : { kind: 'wrapping', minSeconds, maxSeconds: maxWrapSeconds }
}

/** Only what changes something carries parameters. A request without any passes, unless it lacks one that is required. */
function parameterViolation(
  { required, denied, allowed }: Limits,
  { operation, body }: Request,
): Violation | undefined {
  if (operation !== 'update' && operation !== 'patch') return undefined
  const sent = Object.entries(body).map(([name, value]) => [name.toLowerCase(), value] as const)
  const given = new Set(sent.map(([name]) => name))
  const named = (kind: 'missing' | 'denied' | 'not-allowed', names: readonly string[]) =>
    names.length > 0 ? { kind, names } : undefined
  const namesOf = (wrong: (name: string, value: unknown) => boolean): string[] =>
    sent.filter(([name, value]) => wrong(name, value)).map(([name]) => name)
  const missing = (required ?? []).filter((name) => !given.has(name))
  return (
    named('missing', missing) ??
    (denied &&
      named(
        'denied',
        namesOf((name, value) => isDenied(denied, name, value)),
      )) ??
    (allowed &&
      named(
        'not-allowed',
        namesOf((name, value) => !isAllowed(allowed, name, value)),
      ))
  )
}

const isDenied = (denied: ValuesByName, name: string, value: unknown): boolean => {
  const values = denied.get(name)
  if (denied.has('*')) return true
  const items: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values !== undefined && (isListed(values, value) || items.some((item) => isListed(values, item)))
}

const isAllowed = (allowed: ValuesByName, name: string, value: unknown): boolean => {
  const values = allowed.get(name)
  return values ? isListed(values, value) : allowed.has('*')
}

function isListed(values: readonly ParameterValue[], value: unknown): boolean {
  if (values.length === 0) return true
  if (Array.isArray(value)) return value.every((item) => isListed(values, item))
  return values.some((pattern) => {
    if (typeof pattern === 'string' && typeof value === 'string') return fitsGlob(pattern, value)
    return typeof value !== 'object' && String(pattern) === String(value)
  })
}

function uniteValues(a: ValuesByName | undefined, b: ValuesByName | undefined): ValuesByName | undefined {
  if (!a || !b) return a ?? b
  const united = new Map(a)
  for (const [name, values] of b) {
    const known = united.get(name)
    // An empty list stands for every value.
    united.set(name, known?.length === 0 || values.length === 0 ? [] : [...(known ?? []), ...values])
  }
  return united
}

const bounded = (
  pick: (a: number, b: number) => number,
  a: number | undefined,
  b: number | undefined,
): number | undefined => (a === undefined || b === undefined ? (a ?? b) : pick(a, b))
