import { AppError } from '../../core/index.ts'
import { type HclBody, type HclEntry, type HclValue, parseHcl } from './hcl.ts'

export const capabilities = ['create', 'read', 'update', 'delete', 'list', 'patch', 'sudo', 'deny'] as const
export type Capability = (typeof capabilities)[number]

/** One `path` stanza. `path` has no trailing `*` any more when `glob` is set. */
export type PathRule = {
  readonly path: string
  readonly glob: boolean
  readonly capabilities: readonly Capability[]
}

/** What `policy = "…"` meant before there were capabilities; old documents still carry it. */
const legacy: Record<string, readonly Capability[]> = {
  deny: ['deny'],
  read: ['read', 'list'],
  write: ['create', 'read', 'update', 'delete', 'list'],
  sudo: ['create', 'read', 'update', 'delete', 'list', 'sudo'],
}

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
  if (path.includes('{{')) throw refused(entry, 'templates in paths are not supported by this server')
  if (path.includes('+*')) throw refused(entry, `path "${written}": "+*" is forbidden; use "+/*" or "*"`)
  const glob = path.endsWith('*')
  const allowed = new Set<Capability>()
  for (const attribute of body.entries) for (const one of capabilitiesOf(attribute, written)) allowed.add(one)
  const list: readonly Capability[] = allowed.has('deny') ? ['deny'] : [...allowed]
  return { path: glob ? path.slice(0, -1) : path, glob, capabilities: list }
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
