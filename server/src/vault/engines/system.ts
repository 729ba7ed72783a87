import { AppError } from '../../core/index.ts'
import { type Acl, rootAcl } from '../acl/acl.ts'
import type { Policies } from '../acl/policies.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Answer, Call, Engine, PathSpec } from '../engine.ts'
import { isObject, listField, textField } from '../fields.ts'
import type { Mount, Mounts } from '../mounts.ts'
import type { Tokens } from '../tokens/tokens.ts'
import { listed } from './kv2.ts'

type Needs = {
  barrier: Barrier
  policies: Policies
  mounts: Mounts
  tokens: Pick<Tokens, 'find' | 'findByAccessor'>
  seal: () => void
}

/** `sys/`: everything about the vault itself that needs a token. What works while it is sealed is in seal-requests.ts. */
export function createSystemEngine(needs: Needs): Engine {
  return {
    type: 'system',
    paths: [...sealPaths(needs), ...mountPaths(needs), ...policyPaths(needs), ...capabilityPaths(needs)],
    async wipe() {
      throw new AppError('request.invalid', 'the system mount is always there')
    },
  }
}

const flat = (data: Record<string, unknown>): Answer => ({ data, flat: true })

function sealPaths({ barrier, seal }: Needs): PathSpec[] {
  const keyStatus = (): Answer => {
    const newest = barrier.terms().at(-1)
    return flat({
      term: newest?.term,
      install_time: newest?.createdAt.toISOString(),
      encryptions: newest?.encryptions,
    })
  }
  return [
    {
      pattern: 'seal',
      sudo: true,
      events: { update: 'vault.sealed' },
      target: () => 'vault:keyward',
      async update(tx) {
        tx.afterCommit(seal)
        return {}
      },
    },
    { pattern: 'key-status', read: async () => keyStatus() },
    {
      pattern: 'rotate',
      sudo: true,
      async update(tx) {
        await barrier.rotate(tx)
        return { note: { rotated: true } }
      },
    },
    { pattern: 'ha-status', read: async () => flat({ nodes: [] }) },
  ]
}

function mountPaths({ mounts }: Needs): PathSpec[] {
  const secretMounts = (): Record<string, unknown> =>
    viewsOf(mounts.all().filter((mount) => mount.type !== 'token'))
  const authMounts = (): Record<string, unknown> =>
    viewsOf(mounts.all().filter((mount) => mount.type === 'token'))
  const visible = (views: Record<string, unknown>, acl: Acl, prefix = ''): Record<string, unknown> =>
    Object.fromEntries(Object.entries(views).filter(([path]) => acl.touches(prefix + path)))
  return [
    { pattern: 'mounts', read: async () => flat(secretMounts()) },
    {
      pattern: 'mounts/{path...}',
      async read({ params }) {
        return mountInfo(mounts, params['path'] ?? '')
      },
      update: (tx, call) => writeMount(mounts, tx, call),
      async delete(tx, { params }) {
        await mounts.disable(tx, params['path'] ?? '')
        return {}
      },
    },
    { pattern: 'auth', read: async () => flat(authMounts()) },
    {
      pattern: 'internal/ui/mounts',
      anyToken: true,
      read: async ({ token }) => ({
        data: { auth: visible(authMounts(), token.acl, 'auth/'), secret: visible(secretMounts(), token.acl) },
      }),
    },
    {
      pattern: 'internal/ui/mounts/{path...}',
      anyToken: true,
      async read({ params, token }) {
        const path = params['path'] ?? ''
        const mount = mounts.of(path)
        if (!mount || !token.acl.touches(mount.path))
          throw new AppError(
            'policy.denied',
            `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`,
          )
        return { data: { ...mountView(mount), path: mount.path } }
      },
    },
  ]
}

async function mountInfo(mounts: Mounts, written: string): Promise<Answer> {
  const tuned = written.replace(/\/?tune\/?$/, '')
  const path = `${tuned.replace(/\/$/, '')}/`
  const mount = mounts.all().find((known) => known.path === path)
  if (!mount) throw new AppError('request.invalid', `No secret engine mount at ${path}`)
  const view = mountView(mount)
  if (tuned === written) return flat(view)
  return flat({
    default_lease_ttl: 0,
    max_lease_ttl: 0,
    force_no_cache: false,
    description: mount.description,
    options: view['options'],
  })
}

async function writeMount(mounts: Mounts, tx: Parameters<Mounts['enable']>[0], call: Call): Promise<Answer> {
  const { body } = call
  const written = call.params['path'] ?? ''
  const options = isObject(body['options']) ? body['options'] : {}
  const version = textField(options, 'version')
  const description = textField(body, 'description')
  const tuned = written.replace(/\/tune\/?$/, '')
  if (tuned !== written) {
    await mounts.tune(tx, tuned, {
      ...(description === undefined ? {} : { description }),
      ...(version === undefined ? {} : { version }),
    })
    return {}
  }
  const type = textField(body, 'type')
  if (!type) throw new AppError('request.invalid', 'backend type must be specified as a string')
  await mounts.enable(tx, { path: written, type, version: version ?? '', description: description ?? '' })
  return {}
}

const viewsOf = (mounts: readonly Mount[]): Record<string, unknown> =>
  Object.fromEntries(mounts.map((mount) => [mount.path.replace(/^auth\//, ''), mountView(mount)]))

function mountView({ type, id, accessor, description, version }: Mount): Record<string, unknown> {
  return {
    accessor,
    config: { default_lease_ttl: 0, force_no_cache: false, max_lease_ttl: 0 },
    description,
    external_entropy_access: false,
    local: type === 'cubbyhole',
    options: version === null ? null : { version: String(version) },
    seal_wrap: false,
    type,
    uuid: id,
  }
}

function policyPaths({ policies }: Needs): PathSpec[] {
  const events = { update: 'policy.written', delete: 'policy.deleted' } as const
  const target = ({ params }: Call): string => `acl-policy:${params['name'] ?? ''}`
  const write: PathSpec['update'] = async (tx, { params, body }) => {
    // The deprecated address took the text in `rules`.
    await policies.write(
      tx,
      params['name'] ?? '',
      textField(body, 'policy') ?? textField(body, 'rules') ?? '',
    )
    return {}
  }
  const remove: PathSpec['delete'] = async (tx, { params }) => {
    await policies.remove(tx, params['name'] ?? '')
    return {}
  }
  const names = async (): Promise<Answer> => {
    const keys = await policies.names()
    return flat({ keys, policies: keys })
  }
  return [
    { pattern: 'policies/acl', list: async () => listed(await policies.names()) },
    {
      pattern: 'policies/acl/{name}',
      events,
      target,
      async read({ params }) {
        const name = params['name'] ?? ''
        const policy = await policies.read(name)
        return policy === undefined ? undefined : { data: { name, policy } }
      },
      update: write,
      delete: remove,
    },
    { pattern: 'policy', read: names, list: names },
    {
      pattern: 'policy/{name}',
      events,
      target,
      async read({ params }) {
        const name = params['name'] ?? ''
        const rules = await policies.read(name)
        return rules === undefined ? undefined : flat({ name, rules })
      },
      update: write,
      delete: remove,
    },
  ]
}

function capabilityPaths({ tokens, policies }: Needs): PathSpec[] {
  const answer = (acl: Acl, { body }: Call): Answer => {
    const paths = listField(body, 'paths') ?? listField(body, 'path') ?? []
    if (paths.length === 0) throw new AppError('request.invalid', '"paths" must name at least one path')
    const found = Object.fromEntries(
      paths.map((path) => [path, acl.root ? ['root'] : acl.capabilitiesOn(path.replace(/^\//, ''))]),
    )
    const [first = ''] = paths
    // A single path was answered as `capabilities` before several could be asked at once.
    return flat(paths.length === 1 ? { ...found, capabilities: found[first] } : found)
  }
  return [
    { pattern: 'capabilities-self', update: async (_, call) => answer(call.token.acl, call) },
    {
      pattern: 'capabilities-accessor',
      sudo: true,
      async update(tx, call) {
        const found = await tokens.findByAccessor(textField(call.body, 'accessor') ?? '', tx)
        if (!found) throw new AppError('request.invalid', 'invalid accessor')
        return answer(await policies.compile(found.record.policies), call)
      },
    },
    {
      pattern: 'internal/ui/resultant-acl',
      read: async ({ token: { acl } }) => ({
        data: {
          exact_paths: rulesView(acl.exact()),
          glob_paths: rulesView(acl.globs()),
          root: acl === rootAcl,
        },
      }),
    },
  ]
}

const rulesView = (rules: ReadonlyMap<string, ReadonlySet<string>>): Record<string, unknown> =>
  Object.fromEntries([...rules].map(([path, found]) => [path, { capabilities: [...found].sort() }]))
