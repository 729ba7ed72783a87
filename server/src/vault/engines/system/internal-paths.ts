import { AppError, type Secret } from '../../../core/index.ts'
import { containsAddress } from '../../cidr.ts'
import type { Answer, OpenCall, PathSpec } from '../../engine.ts'
import { authPrefix } from '../../mount-config.ts'
import type { Mount, Mounts } from '../../mounts.ts'
import type { Router } from '../../router.ts'
import type { LiveToken } from '../../tokens/token-record.ts'
import { kindOf, mountView } from './mount-view.ts'
import { type DescribedMount, openApiOf, placeNamed } from './openapi.ts'

type Needs = {
  mounts: Pick<Mounts, 'all' | 'of'>
  router: Pick<Router, 'routed'>
  authenticate: (token: Secret) => Promise<LiveToken | undefined>
  version: string
}

/**
 * What user interfaces ask before anybody has signed in, and after: mounts that their owner shows to everybody
 * (`listing_visibility`), and those that the caller's policies touch.
 */
export function internalPaths(needs: Needs): PathSpec[] {
  const { mounts } = needs

  async function caller({ presented, remoteAddress }: OpenCall): Promise<LiveToken | undefined> {
    if (!presented || presented.length === 0) return undefined
    const live = await needs.authenticate(presented)
    if (!live || !containsAddress(live.record.boundCidrs ?? [], remoteAddress))
      throw new AppError('token.invalid')
    return live
  }
  const sees = (live: LiveToken | undefined, mount: Mount): boolean =>
    mount.config?.listingVisibility === 'unauth' || live?.acl.touches(mount.path) === true
  /** Who has no token sees what is needed to sign in. */
  const shown = (live: LiveToken | undefined, mount: Mount): Record<string, unknown> => {
    const view = mountView(mount)
    return live ? view : { type: view['type'], description: view['description'], options: view['options'] }
  }
  async function listed(call: OpenCall): Promise<Answer> {
    const live = await caller(call)
    const visible = mounts.all().filter((mount) => sees(live, mount))
    const of = (kind: 'auth' | 'secret'): Record<string, unknown> =>
      Object.fromEntries(
        visible
          .filter(({ path }) => kindOf(path) === kind)
          .map((mount) => [mount.path.slice(kind === 'auth' ? authPrefix.length : 0), shown(live, mount)]),
      )
    return { data: { auth: of('auth'), secret: of('secret') } }
  }
  async function one(call: OpenCall): Promise<Answer> {
    const live = await caller(call)
    const path = (call.params['path'] ?? '').replace(/\/+$/, '')
    const mount = mounts.of(path)
    if (!mount || !sees(live, mount))
      throw new AppError(
        'token.invalid',
        `preflight capability check returned 403, please ensure client's policies grant access to path "${path}/"`,
      )
    return { data: { ...shown(live, mount), path: mount.path } }
  }
  async function described(call: OpenCall): Promise<Answer> {
    const live = await caller(call)
    const generic = isTrue(call.query['generic_mount_paths'] ?? call.body['generic_mount_paths'])
    const seen = new Map(mounts.all().map((mount) => [mount.path, mount]))
    const documents = needs.router.routed().flatMap(({ path, engine }): DescribedMount[] => {
      const mount = seen.get(path)
      const visible = mount !== undefined && (mount.type === 'system' || sees(live, mount))
      if (!visible) return []
      const base = { path, type: engine.type, paths: engine.paths, parameters: [] }
      return [generic ? asTemplate(base, mount) : base]
    })
    const system = { path: 'sys/', type: 'system', paths: answeredWhileSealed, parameters: [] }
    const text = JSON.stringify(openApiOf([...documents, system], needs.version))
    return { raw: { contentType: 'application/json', bytes: Buffer.from(text) } }
  }
  return [
    { pattern: 'internal/ui/mounts', anybody: { operations: ['read'], answer: listed } },
    { pattern: 'internal/ui/mounts/{path...}', anybody: { operations: ['read'], answer: one } },
    {
      pattern: 'internal/ui/namespaces',
      anybody: { operations: ['read'], answer: async () => ({ data: { keys: [] } }) },
    },
    { pattern: 'internal/specs/openapi', anybody: { operations: ['read', 'update'], answer: described } },
  ]
}

/** Described here and answered before the router is asked: by their own proof, sealed or not. */
const answeredWhileSealed: readonly PathSpec[] = (
  [
    ['health', 'read'],
    ['init', 'read', 'update'],
    ['leader', 'read'],
    ['seal-status', 'read'],
    ['unseal', 'update'],
    ['decode-token', 'update'],
    ['generate-root/attempt', 'read', 'update', 'delete'],
    ['generate-root/update', 'update'],
    ['generate-root-token/attempt', 'read', 'update', 'delete'],
    ['generate-root-token/update', 'update'],
    ['rekey/init', 'read', 'update', 'delete'],
    ['rekey/update', 'update'],
    ['rekey/verify', 'read', 'update', 'delete'],
    ['rekey-recovery-key/init', 'read', 'update', 'delete'],
    ['rekey-recovery-key/update', 'update'],
    ['rekey-recovery-key/verify', 'read', 'update', 'delete'],
  ] as const
).map(([pattern, ...operations]) => ({ pattern, anybody: { operations, answer: async () => undefined } }))

const fixedTypes: ReadonlySet<string> = new Set(['system', 'identity', 'cubbyhole', 'token'])

/** For programs that make clients of it: `/auth/{approle_mount_path}/login`. */
function asTemplate(base: DescribedMount, { type, version }: Mount): DescribedMount {
  if (fixedTypes.has(base.type)) return base
  const place = `${(version === 2 ? 'kv_v2' : type).replaceAll('-', '_')}_mount_path`
  const prefix = base.path.startsWith(authPrefix) ? authPrefix : ''
  return { ...base, path: `${prefix}{${place}}/`, parameters: [placeNamed(place)] }
}

const isTrue = (value: unknown): boolean => value === true || value === 'true' || value === '1'
