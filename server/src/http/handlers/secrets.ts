import { secretsApi } from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import {
  AppError,
  actorOf,
  formatReference,
  type Principal,
  parseReference,
  type Secret,
} from '../../core/index.ts'
import type { Policy } from '../../policy/index.ts'
import type { Vault } from '../../vault/index.ts'
import { type Call, type Resource, type Route, route } from '../route.ts'

type Needs = {
  vault: Pick<Vault, 'kv'>
  audit: Pick<Audit, 'recordNow'>
  policy: Pick<Policy, 'decide'>
}

export function secretRoutes({ vault, audit, policy }: Needs): Route[] {
  async function found(path: string, version?: number) {
    const secret = await (version === undefined ? vault.kv.read(path) : vault.kv.readVersion(path, version))
    const which = version === undefined ? '' : `version ${version} of `
    if (!secret) throw new AppError('secret.not_found', `${which}${path} does not exist or was deleted`)
    return secret
  }

  async function fieldOf(path: string, field: string, version?: number): Promise<Secret> {
    const { data } = await found(path, version)
    const value = Object.hasOwn(data, field) ? data[field] : undefined
    if (!value) throw new AppError('secret.not_found', `${path} has no field '${field}'`)
    return value
  }

  /** The entry is on disk before the value leaves. */
  async function release(
    type: 'secret.revealed' | 'secret.read',
    path: string,
    field: string,
    call: Call,
    purpose: string,
    version?: number,
  ): Promise<string> {
    const value = await fieldOf(path, field, version)
    await audit.recordNow({
      type,
      outcome: 'done',
      actor: actorOf(call.principal),
      target: `secret:${path}`,
      correlation: call.requestId,
      detail: version === undefined ? { field, purpose } : { field, purpose, version },
    })
    return value.reveal()
  }

  return [
    route(
      secretsApi.list,
      async ({ path }, { principal }) => {
        const folder = folderOf(path)
        const names = await vault.kv.list(folder)
        const items = names.map((name) => ({ name, path: folder + name, folder: name.endsWith('/') }))
        return { path: folder, items: items.filter((entry) => mayKnow(policy, principal, entry)) }
      },
      ({ path }) => secretAt(folderOf(path)),
    ),
    route(
      secretsApi.read,
      async ({ path }) => {
        const { version, createdAt, data } = await found(path)
        const fields = Object.keys(data).sort()
        return {
          path,
          version,
          createdAt: createdAt?.toISOString() ?? null,
          fields,
          references: fields.map((field) => referenceTo(path, field)),
        }
      },
      ({ path }) => secretAt(path),
    ),
    route(
      secretsApi.reveal,
      async ({ path, field, version }, call) => ({
        value: await release('secret.revealed', path, field, call, 'shown to a person', version),
      }),
      ({ path }) => secretAt(path),
    ),
    // Decided for each secret: one that is refused refuses them all, before any value is read.
    route(
      secretsApi.resolve,
      async ({ references, purpose }, call) => {
        const values: Record<string, string> = {}
        for (const text of new Set(references))
          values[text] = await release('secret.read', pathOf(text), parseReference(text).field, call, purpose)
        return { values }
      },
      ({ references }) => [...new Set(references.map(pathOf))].map(secretAt),
    ),
  ]
}

/** A name is told to who may read about it; a folder's, to who may list it. */
export function mayKnow(
  policy: Needs['policy'],
  principal: Principal,
  { path, folder }: { path: string; folder: boolean },
): boolean {
  const action = folder ? 'secrets.list' : 'secrets.read'
  return policy.decide({ principal, action, resource: secretAt(path) }).allow
}

export const secretAt = (path: string): Resource => ({ type: 'Secret', id: path, attributes: { path } })

/** The root holds the mounts. */
const folderOf = (path: string): string => (path === '' ? '' : path.replace(/\/*$/, '/'))

function pathOf(reference: string): string {
  const { mount, path } = parseReference(reference)
  return `${mount}/${path}`
}

function referenceTo(secretPath: string, field: string): string {
  const [mount = '', ...names] = secretPath.split('/')
  return formatReference({ mount, path: names.join('/'), field })
}
