import { AppError, reasonOf } from '../../core/index.ts'
import { type Fields, fieldsOf, type VaultApi } from './api.ts'
import type { Conflict, Outcome, Progress } from './report.ts'

type Sides = { readonly source: VaultApi; readonly target: VaultApi }
type Options = { readonly dryRun: boolean; readonly conflict: Conflict }

const everyVaultHas: ReadonlySet<string> = new Set(['root', 'default'])

export async function importPolicies(
  { source, target }: Sides,
  options: Options,
  progress: Progress,
): Promise<void> {
  for (const name of await source.list('sys/policies/acl')) {
    if (name === 'root') continue
    try {
      assertName(name)
      const theirs = (await source.read(`sys/policies/acl/${name}`))?.['policy']
      const ours = (await target.read(`sys/policies/acl/${name}`))?.['policy']
      if (everyVaultHas.has(name) && ours !== theirs) {
        progress.remark(`The policy "${name}" is another there. Every vault has its own; compare them.`)
        continue
      }
      const outcome = outcomeOf(ours, ours === theirs, options)
      if (outcome === 'created' || outcome === 'replaced')
        await target.write(`sys/policies/acl/${name}`, { policy: theirs })
      progress.add({ kind: 'policy', path: name, outcome })
    } catch (error) {
      progress.add({ kind: 'policy', path: name, outcome: 'failed', detail: reasonOf(error) })
    }
  }
}

/** One with a slash in it would be an address below another's. */
function assertName(name: string): void {
  if (name.includes('/')) throw new AppError('request.invalid', 'this cannot be a name')
}

function outcomeOf(ours: unknown, equal: boolean, { dryRun, conflict }: Options): Outcome {
  if (equal) return 'present'
  if (dryRun) return 'planned'
  if (ours === undefined) return 'created'
  return conflict === 'keep' ? 'kept' : 'replaced'
}

/** Roles with their ids. Secret ids cannot be read anywhere: programs need new ones. */
export async function importAppRoles(
  { source, target }: Sides,
  mount: string,
  options: Options,
  progress: Progress,
): Promise<void> {
  for (const name of await source.list(`${mount}role`)) {
    const path = `${mount}role/${name}`
    try {
      assertName(name)
      const theirs = { role: await source.read(path), id: await source.read(`${path}/role-id`) }
      const ours = await target.read(path)
      const id = fieldsOf(await target.read(`${path}/role-id`))['role_id']
      const equal =
        ours !== undefined && id === theirs.id?.['role_id'] && isWithin(settingsOf(theirs.role), ours)
      const outcome = outcomeOf(ours, equal, options)
      if (outcome === 'created' || outcome === 'replaced') {
        await target.write(path, settingsOf(theirs.role))
        await target.write(`${path}/role-id`, { role_id: theirs.id?.['role_id'] })
      }
      progress.add({ kind: 'approle', path, outcome })
      const secretIds = (await source.list(`${path}/secret-id`)).length
      if (secretIds > 0)
        progress.remark(
          `${path} has ${secretIds} secret ids there, which nobody can read: give out new ones.`,
        )
    } catch (error) {
      progress.add({ kind: 'approle', path, outcome: 'failed', detail: reasonOf(error) })
    }
  }
}

/** Older fields that the newer ones have replaced, and what only the other vault can know. */
const notWritten: ReadonlySet<string> = new Set([
  'policies',
  'period',
  'bound_cidr_list',
  'local_secret_ids',
  'token_strictly_bind_ip',
  'alias_metadata',
])

const settingsOf = (role: Fields | undefined): Fields =>
  Object.fromEntries(
    Object.entries(role ?? {}).filter(([name, value]) => !notWritten.has(name) && value !== null),
  )

const isWithin = (some: Fields, all: Fields): boolean =>
  Object.entries(some).every(
    ([name, value]) => JSON.stringify(all[name] ?? empty(value)) === JSON.stringify(value),
  )

const empty = (value: unknown): unknown => (Array.isArray(value) ? [] : value)

export async function nameUsers(source: VaultApi, mount: string, progress: Progress): Promise<void> {
  const names = await source.list(`${mount}users`)
  if (names.length > 0)
    progress.remark(
      `${mount} has the users ${names.slice(0, 50).join(', ')}${names.length > 50 ? ', …' : ''}: passwords cannot be read, make them anew.`,
    )
}
