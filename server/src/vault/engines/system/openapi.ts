import type { Operation, PathSpec } from '../../engine.ts'

export type DescribedMount = {
  /** Ends in `/`; a template where paths of mounts are asked for in general. */
  readonly path: string
  readonly type: string
  readonly paths: readonly PathSpec[]
  readonly parameters: readonly Parameter[]
}
type Parameter = {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required?: true
  readonly description: string
  readonly schema: { readonly type: 'string' }
}
type Method = 'get' | 'post' | 'delete' | 'patch'
type Described = Readonly<Record<string, unknown>>

/** OpenAPI 3.0.2, as Vault describes itself: https://spec.openapis.org/oas/v3.0.2 . Read from the paths that the router reads. */
export function openApiOf(mounts: readonly DescribedMount[], version: string): Described {
  const paths = new Map<string, Described>()
  for (const mount of mounts)
    for (const spec of mount.paths) {
      if (spec.refused) continue
      const path = `/${mount.path}${spec.pattern.replaceAll('...}', '}')}`
      // Templates that differ only in the names of their places are the same path.
      const key = path.replace(/\{[^}]*\}/g, '{}')
      const [known = path] = [...paths.keys()].filter((other) => other.replace(/\{[^}]*\}/g, '{}') === key)
      paths.set(known, { ...describePath(mount, spec), ...paths.get(known) })
    }
  return {
    openapi: '3.0.2',
    info: {
      title: 'HashiCorp Vault API',
      description: 'The API of HashiCorp Vault as Keyward answers it.',
      version,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/v1' }],
    paths: Object.fromEntries([...paths].sort(([a], [b]) => (a < b ? -1 : 1))),
    components: { schemas: {} },
  }
}

function describePath(mount: DescribedMount, spec: PathSpec): Described {
  const parameters = [...mount.parameters, ...placesOf(spec.pattern)]
  const operations = methodsOf(spec).map((method) => [method, describe(mount, spec, method)])
  return {
    description: `${mount.type}: ${spec.pattern}`,
    ...(parameters.length > 0 ? { parameters } : {}),
    'x-vault-sudo': spec.sudo === true,
    'x-vault-unauthenticated': spec.open !== undefined || spec.anybody !== undefined,
    'x-vault-createSupported': spec.exists !== undefined,
    ...Object.fromEntries(operations),
  }
}

export const has = (spec: PathSpec, operation: Operation): boolean =>
  spec[operation] !== undefined ||
  (operation === 'update' && (spec.post !== undefined || spec.open !== undefined)) ||
  (spec.grant !== undefined && (spec.grantsBy ?? ['read']).some((by) => by === operation)) ||
  spec.anybody?.operations.includes(operation) === true

function methodsOf(spec: PathSpec): Method[] {
  const methods: Method[] = []
  if (has(spec, 'read') || has(spec, 'list')) methods.push('get')
  if (has(spec, 'update')) methods.push('post')
  if (has(spec, 'delete')) methods.push('delete')
  if (has(spec, 'patch')) methods.push('patch')
  return methods
}

const verbs: Record<Method, string> = { get: 'read', post: 'write', delete: 'delete', patch: 'patch' }
const tags: Readonly<Record<string, string>> = { system: 'system', identity: 'identity' }

function describe(mount: DescribedMount, spec: PathSpec, method: Method): Described {
  const words = `${mount.path}${spec.pattern}`.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  const tag = tags[mount.type] ?? (mount.path.startsWith('auth/') ? 'auth' : 'secrets')
  return {
    summary: `${verbs[method]} ${mount.path}${spec.pattern}`,
    operationId: `${verbs[method]}-${words.join('-')}`,
    tags: [tag],
    ...(method === 'get' && has(spec, 'list') ? { parameters: [listParameter(has(spec, 'read'))] } : {}),
    ...(method === 'post' || method === 'patch' ? { requestBody: bodyOf(method, spec.takes) } : {}),
    responses: responsesOf(method),
  }
}

const listParameter = (optional: boolean): Described => ({
  name: 'list',
  in: 'query',
  description: 'Must be set to `true` to list',
  ...(optional ? {} : { required: true }),
  schema: { type: 'string', ...(optional ? {} : { enum: ['true'] }) },
})

const anyObject = { schema: { type: 'object', additionalProperties: true } }
const bodyOf = (method: Method, takes: PathSpec['takes']): Described => ({
  content: {
    [method === 'patch' ? 'application/merge-patch+json' : 'application/json']: takes
      ? { schema: { type: 'object', properties: Object.fromEntries(takes.map((name) => [name, {}])) } }
      : anyObject,
  },
})

function responsesOf(method: Method): Described {
  const ok = { 200: { description: 'OK', content: { 'application/json': anyObject } } }
  return method === 'delete' ? { 204: { description: 'empty body' } } : ok
}

function placesOf(pattern: string): Parameter[] {
  return [...pattern.matchAll(/\{([^}.]+)(?:\.\.\.)?\}/g)].map(([, name = '']) => placeNamed(name))
}

export const placeNamed = (name: string): Parameter => ({
  name,
  in: 'path',
  required: true,
  description: name,
  schema: { type: 'string' },
})
