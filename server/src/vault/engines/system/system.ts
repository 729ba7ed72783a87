import { isUtf8 } from 'node:buffer'
import { AppError, Secret } from '../../../core/index.ts'
import { type Acl, rootAcl } from '../../acl/acl.ts'
import type { Policies } from '../../acl/policies.ts'
import type { Lockouts } from '../../auth/lockouts.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Answer, Call, Engine, PathSpec } from '../../engine.ts'
import { listField, textField } from '../../fields.ts'
import type { Leases } from '../../leases/leases.ts'
import type { Mounts } from '../../mounts.ts'
import type { PasswordPolicies } from '../../password-policies.ts'
import { foldingCase } from '../../spelling.ts'
import type { Tokens } from '../../tokens/tokens.ts'
import type { Wrapping } from '../../wrapping.ts'
import { listed } from '../kv2.ts'
import { toolPaths } from '../tools.ts'
import { leasePaths } from './lease-paths.ts'
import { lockedUserPaths } from './locked-users.ts'
import { mountPaths } from './mount-paths.ts'
import { passwordPolicyPaths } from './password-policy-paths.ts'
import { type RotateNeeds, rotatePaths } from './rotate-paths.ts'
import { wrappingPaths } from './wrapping-paths.ts'

type Needs = {
  barrier: Barrier
  policies: Policies
  mounts: Mounts
  tokens: Pick<Tokens, 'find' | 'findByAccessor' | 'aclOf' | 'madeUnder' | 'revoke'>
  leases: Leases
  wrapping: Wrapping
  lockouts: Lockouts
  passwordPolicies: PasswordPolicies
  keys: RotateNeeds
  seal: () => void
  /** Paths with a file of their own beside these. */
  others: readonly PathSpec[]
}

/** `sys/`: everything about the vault itself that needs a token. What works while it is sealed is in seal-requests.ts. */
export function createSystemEngine(needs: Needs): Engine {
  return {
    type: 'system',
    paths: [
      ...sealPaths(needs),
      ...rotatePaths(needs.keys),
      ...mountPaths(needs.mounts, needs.leases),
      ...leasePaths(needs),
      ...wrappingPaths(needs.wrapping),
      ...lockedUserPaths(needs.lockouts, needs.mounts),
      ...passwordPolicyPaths(needs.passwordPolicies),
      ...foldingCase(policyPaths(needs)),
      ...capabilityPaths(needs),
      ...toolPaths('tools/'),
      ...needs.others,
    ],
    async wipe() {
      throw new AppError('request.invalid', 'the system mount is always there')
    },
  }
}

const flat = (data: Record<string, unknown>): Answer => ({ data, flat: true })

function sealPaths({ seal }: Needs): PathSpec[] {
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
    // There is one server: nobody could take over from it.
    { pattern: 'step-down', sudo: true, update: async () => ({}) },
    { pattern: 'ha-status', read: async () => flat({ nodes: [] }) },
  ]
}

function policyPaths({ policies }: Needs): PathSpec[] {
  const events = { update: 'policy.written', delete: 'policy.deleted' } as const
  const target = ({ params }: Call): string => `acl-policy:${params['name'] ?? ''}`
  const write: PathSpec['update'] = async (tx, { params, body }) => {
    const text = textField(body, 'policy')
    const older = textField(body, 'rules')
    await policies.write(tx, params['name'] ?? '', plainText(text ?? older ?? ''))
    return text === undefined && older !== undefined
      ? { warnings: ["'rules' is deprecated, please use 'policy' instead"] }
      : {}
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
        const name = (params['name'] ?? '').toLowerCase()
        const policy = await policies.read(name)
        return policy === undefined ? undefined : { data: { name, policy } }
      },
      update: write,
      async patch(tx, call) {
        const known = await policies.read(call.params['name'] ?? '')
        if (known === undefined) return { status: 404, errors: ['policy not found'] }
        return write(tx, { ...call, body: { policy: known, ...call.body } })
      },
      delete: remove,
    },
    {
      pattern: 'policies/detailed/acl/{prefix...}',
      sudo: true,
      async list({ params }) {
        const keys = (await policies.names()).filter((name) => name.startsWith(params['prefix'] ?? ''))
        const infos = keys.map(async (name) => [name, { name, policy: (await policies.read(name)) ?? '' }])
        return { data: { keys, key_info: Object.fromEntries(await Promise.all(infos)) } }
      },
    },
    { pattern: 'policy', read: names, list: names },
    {
      pattern: 'policy/{name}',
      events,
      target,
      async read({ params }) {
        const name = (params['name'] ?? '').toLowerCase()
        const rules = await policies.read(name)
        return rules === undefined ? undefined : flat({ name, rules })
      },
      update: write,
      delete: remove,
    },
  ]
}

/** Clients may send a policy in base 64. */
function plainText(written: string): string {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(written) || written.length % 4 !== 0) return written
  const bytes = Buffer.from(written, 'base64')
  return isUtf8(bytes) ? bytes.toString('utf8') : written
}

function capabilityPaths({ tokens }: Needs): PathSpec[] {
  const answer = (acl: Acl, { body }: Call): Answer => {
    const paths = listField(body, 'paths') ?? listField(body, 'path') ?? []
    if (paths.length === 0) throw new AppError('request.invalid', 'paths must be supplied')
    const found = Object.fromEntries(
      paths.map((path) => [path, acl.root ? ['root'] : acl.capabilitiesOn(path.replace(/^\//, ''))]),
    )
    const [first = ''] = paths
    // A single path was answered as `capabilities` before several could be asked at once.
    return flat(paths.length === 1 ? { ...found, capabilities: found[first] } : found)
  }
  return [
    {
      pattern: 'capabilities',
      async update(tx, call) {
        const token = textField(call.body, 'token')
        const found = token ? await tokens.find(new Secret(token), tx) : undefined
        if (!found) throw new AppError('request.invalid', token ? 'invalid token' : 'no token found')
        return answer(await tokens.aclOf(found.record), call)
      },
    },
    { pattern: 'capabilities-self', update: async (_, call) => answer(call.token.acl, call) },
    {
      pattern: 'capabilities-accessor',
      sudo: true,
      async update(tx, call) {
        const accessor = textField(call.body, 'accessor')
        if (!accessor) throw new AppError('request.invalid', 'missing accessor')
        const found = await tokens.findByAccessor(accessor, tx)
        if (!found) throw new AppError('request.invalid', 'invalid accessor')
        return answer(await tokens.aclOf(found.record), call)
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
