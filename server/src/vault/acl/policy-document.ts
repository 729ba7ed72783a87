import { AppError, reasonOf } from '../../core/index.ts'
import { parseDuration } from '../duration.ts'
import { type HclBody, type HclEntry, type HclValue, parseHcl } from './hcl.ts'
import { type Limits, type ParameterValue, uniteLimits } from './limits.ts'
import { isTemplate } from './templates.ts'

export const capabilities = ['create', 'read', 'update', 'delete', 'list', 'patch', 'sudo', 'deny'] as const
export type Capability = (typeof capabilities)[number]

/** One `path` stanza. `path` has no trailing `*` any more when `glob` is set. */
export type PathRule = {
  readonly path: string
  readonly glob: boolean
  readonly capabilities: readonly Capability[]
  /** `path` has `{{…}}` in it, to be filled for each token. */
  readonly template?: true
  readonly limits?: Limits
  /** Where the stanza begins in its policy. */
  readonly line: number
}

/** What `policy = "…"` meant before there were capabilities; old documents still carry it. */
const legacy: Record<string, readonly Capability[]> = {
  deny: ['deny'],
  read: ['read', 'list'],
  write: ['create', 'read', 'update', 'delete', 'list'],
  sudo: ['create', 'read', 'update', 'delete', 'list', 'sudo'],
}

const limitKeys: ReadonlySet<string> = new Set([
  'allowed_parameters',
  'denied_parameters',
  'required_parameters',
  'min_wrapping_ttl',
  'max_wrapping_ttl',
])

const isBody = (value: HclValue): value is HclBody =>
  typeof value === 'object' && !Array.isArray(value) && 'entries' in value

/** The rules of a policy in HCL or JSON; refuses, with the place, whatever it would not enforce. */
export function parsePolicy(text: string): PathRule[] {
  const rules: PathRule[] = []
  for (const entry of parseHcl(text).entries) {
    if (entry.key === 'path') rules.push(...pathRules(entry))
    else if (entry.key !== 'name')
      throw refused(entry, `"${entry.key}" is no part of a policy; expected "path"`)
  }
  return rules
}

function pathRules(entry: HclEntry): PathRule[] {
  const [path, ...further] = entry.labels
  if (further.length > 0) throw refused(entry, 'a path stanza takes one path')
  if (path !== undefined) {
    if (!isBody(entry.value)) throw refused(entry, 'expected { after the path')
    return [pathRule(entry, path, entry.value)]
  }
  // JSON writes {"path": {"a/b": {…}}}, or a list of such objects.
  const bodies = Array.isArray(entry.value) ? entry.value : [entry.value]
  return bodies.flatMap((body: HclValue) => {
    if (!isBody(body)) throw refused(entry, 'expected a path')
    return body.entries.map((inner) => {
      if (!isBody(inner.value)) throw refused(inner, `expected an object for the path "${inner.key}"`)
      return pathRule(inner, inner.key, inner.value)
    })
  })
}

function pathRule(entry: HclEntry, written: string, body: HclBody): PathRule {
  const path = written.startsWith('/') ? written.slice(1) : written
  const template = isTemplate(path)
  if (template === undefined)
    throw refused(
      entry,
      `path "${written}": failed to validate policy templating: unbalanced templating characters`,
    )
  if (path.includes('+*')) throw refused(entry, `path "${written}": "+*" is forbidden; use "+/*" or "*"`)
  const glob = path.endsWith('*')
  const allowed = new Set<Capability>()
  for (const attribute of body.entries)
    if (!limitKeys.has(attribute.key)) for (const one of capabilitiesOf(attribute, written)) allowed.add(one)
  const limits = limitsOf(entry, written, body)
  const list: readonly Capability[] = allowed.has('deny') ? ['deny'] : [...allowed]
  return {
    path: glob ? path.slice(0, -1) : path,
    glob,
    capabilities: list,
    line: entry.line,
    ...(template ? { template } : {}),
    ...(limits ? { limits } : {}),
  }
}

function limitsOf(entry: HclEntry, path: string, body: HclBody): Limits | undefined {
  let limits: Limits | undefined
  for (const attribute of body.entries) limits = uniteLimits(limits, limitOf(attribute, path))
  if (limits?.maxWrapSeconds !== undefined && limits.maxWrapSeconds < (limits.minWrapSeconds ?? 0))
    throw refused(entry, `path "${path}": max_wrapping_ttl cannot be less than min_wrapping_ttl`)
  return limits
}

/** What restricts a rule; undefined when the attribute is something else. */
function limitOf(attribute: HclEntry, path: string): Limits | undefined {
  switch (attribute.key) {
    case 'allowed_parameters':
      return { allowed: parameterValues(attribute, path) }
    case 'denied_parameters':
      return { denied: parameterValues(attribute, path) }
    case 'required_parameters':
      return { required: requiredNames(attribute, path) }
    case 'min_wrapping_ttl':
      return { minWrapSeconds: wrapSeconds(attribute, path) }
    case 'max_wrapping_ttl':
      return { maxWrapSeconds: wrapSeconds(attribute, path) }
    default:
      return undefined
  }
}

function parameterValues(attribute: HclEntry, path: string): Map<string, ParameterValue[]> {
  const { key, value } = attribute
  if (!isBody(value)) throw refused(attribute, `path "${path}": ${key} must be an object of lists`)
  return new Map(
    value.entries.map((entry) => {
      if (!Array.isArray(entry.value))
        throw refused(entry, `path "${path}": the values of "${entry.key}" must be a list`)
      const values = entry.value.map((item: HclValue): ParameterValue => {
        if (typeof item === 'object')
          throw refused(
            entry,
            `path "${path}": a value of "${entry.key}" must be text, a number or a boolean`,
          )
        return item
      })
      return [entry.key.toLowerCase(), values]
    }),
  )
}

function requiredNames(attribute: HclEntry, path: string): string[] {
  const { value } = attribute
  if (!Array.isArray(value)) throw refused(attribute, `path "${path}": required_parameters must be a list`)
  return value.map((item: HclValue) => {
    if (typeof item !== 'string')
      throw refused(attribute, `path "${path}": required_parameters must be a list of names`)
    return item.toLowerCase()
  })
}

function wrapSeconds(attribute: HclEntry, path: string): number {
  const { key, value } = attribute
  if (typeof value === 'object') throw refused(attribute, `path "${path}": ${key} must be a duration`)
  try {
    return parseDuration(value, key) ?? 0
  } catch (error) {
    throw refused(attribute, `path "${path}": ${reasonOf(error)}`)
  }
}

function capabilitiesOf(attribute: HclEntry, path: string): readonly Capability[] {
  switch (attribute.key) {
    case 'capabilities':
      return capabilityList(attribute, path)
    case 'policy': {
      const meant = legacy[String(attribute.value)]
      if (!meant) throw refused(attribute, `path "${path}": invalid policy "${String(attribute.value)}"`)
      return meant
    }
    case 'comment':
    case 'description':
      return []
    default:
      // To store a restriction and not enforce it would allow more than was written.
      throw refused(attribute, `path "${path}": "${attribute.key}" is not supported by this server`)
  }
}

function capabilityList(attribute: HclEntry, path: string): Capability[] {
  const { value } = attribute
  if (!Array.isArray(value)) throw refused(attribute, `path "${path}": capabilities must be a list`)
  return value.map((item: HclValue) => {
    const found = capabilities.find((capability) => capability === item)
    if (!found) throw refused(attribute, `path "${path}": invalid capability "${String(item)}"`)
    return found
  })
}

const refused = (entry: HclEntry, what: string): AppError =>
  new AppError('policy.invalid', `line ${entry.line}, column ${entry.column}: ${what}`)
