import { secretsApi } from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import { AppError, actorOf } from '../../core/index.ts'
import type { Policy } from '../../policy/index.ts'
import type { Vault } from '../../vault/index.ts'
import { type Call, type Route, route } from '../route.ts'
import { mayKnow, secretAt } from './secrets.ts'

type Needs = {
  vault: Pick<Vault, 'kv' | 'act'>
  audit: Pick<Audit, 'recordNow'>
  policy: Pick<Policy, 'decide'>
}

/** How many names one search looks at. */
const mostNames = 20_000

/** Finding secrets, their versions, and writing new ones. The vault itself records what is changed. */
export function secretVersionRoutes({ vault, audit, policy }: Needs): Route[] {
  const { kv, act } = vault

  async function historyOf(path: string) {
    const history = await kv.history(path)
    if (!history) throw new AppError('secret.not_found', `${path} does not exist`)
    return history
  }

  const changeVersions = (endpoint: 'delete' | 'undelete' | 'destroy') =>
    route(
      secretsApi[endpoint],
      async ({ path, versions }, { principal }) => {
        const { mountPath, name } = kv.locate(path)
        await historyOf(path)
        await act(principal, { method: 'POST', path: `${mountPath}${endpoint}/${name}`, body: { versions } })
        return { path, versions }
      },
      ({ path }) => secretAt(path),
    )

  return [
    route(secretsApi.search, ({ words, limit }, call) => search({ kv, policy }, words, limit, call)),
    route(
      secretsApi.history,
      async ({ path }) => {
        const { current, maxVersions, casRequired, versions } = await historyOf(path)
        return {
          path,
          current,
          maxVersions,
          casRequired,
          versions: versions.map(({ version, createdAt, deletedAt, destroyed }) => ({
            version,
            createdAt: createdAt.toISOString(),
            deletedAt: deletedAt?.toISOString() ?? null,
            destroyed,
          })),
        }
      },
      ({ path }) => secretAt(path),
    ),
    route(
      secretsApi.compare,
      async ({ path, from, to }, { principal, requestId }) => {
        const fields = await kv.compare(path, from, to)
        if (!fields)
          throw new AppError('secret.not_found', `versions ${from} and ${to} of ${path} cannot both be read`)
        // Whether a value changed is told only after it is recorded that somebody asked.
        await audit.recordNow({
          type: 'secret.read',
          outcome: 'done',
          actor: actorOf(principal),
          target: `secret:${path}`,
          correlation: requestId,
          detail: { purpose: 'two versions compared, no value shown', versions: [from, to] },
        })
        return { fields }
      },
      ({ path }) => secretAt(path),
    ),
    route(
      secretsApi.write,
      async ({ path, set, remove, replace, cas }, { principal }) => {
        const { mountPath, name } = kv.locate(path)
        const whole = replace || cas === 0
        const data = whole ? set : { ...Object.fromEntries(remove.map((field) => [field, null])), ...set }
        const answer = await act(principal, {
          method: whole ? 'POST' : 'PATCH',
          path: `${mountPath}data/${name}`,
          body: { data, options: { cas } },
        })
        if (!answer)
          throw new AppError('secret.not_found', `${path} has no version to change; write all of its fields`)
        return { path, version: versionIn(answer) }
      },
      ({ path }) => secretAt(path),
    ),
    changeVersions('delete'),
    changeVersions('undelete'),
    changeVersions('destroy'),
    route(
      secretsApi.purge,
      async ({ path, confirm }, { principal }) => {
        const { mountPath, name } = kv.locate(path)
        if (confirm !== path)
          throw new AppError('request.invalid', `to remove ${path} with all its versions, confirm its path`)
        await historyOf(path)
        await act(principal, { method: 'DELETE', path: `${mountPath}metadata/${name}` })
        return { path }
      },
      ({ path }) => secretAt(path),
    ),
  ]
}

function versionIn(answer: Readonly<Record<string, unknown>>): number {
  const data = answer['data']
  const version = typeof data === 'object' && data !== null && 'version' in data ? data.version : undefined
  if (typeof version !== 'number') throw new Error('the vault named no version')
  return version
}

/**
 * Folder by folder, mount by mount, until enough is found, enough is looked at, or nobody waits any more. Only what policy lets
 * the caller read about is told.
 */
async function search(
  { kv, policy }: { kv: Needs['vault']['kv']; policy: Needs['policy'] },
  words: string,
  limit: number,
  { principal, isGone }: Call,
) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean)
  const fits = (path: string): boolean => wanted.every((word) => path.toLowerCase().includes(word))
  const items: { name: string; path: string; folder: boolean }[] = []
  const folders = await kv.list('')
  let looked = 0
  for (const folder of folders) {
    if (items.length >= limit || looked >= mostNames || isGone()) return { items, complete: false, looked }
    for (const name of await kv.list(folder)) {
      looked++
      const path = folder + name
      const entry = { name, path, folder: name.endsWith('/') }
      if (entry.folder) folders.push(path)
      else if (items.length < limit && fits(path) && mayKnow(policy, principal, entry)) items.push(entry)
    }
  }
  return { items, complete: true, looked }
}
