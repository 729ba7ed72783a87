import type { Json } from '@keyward/contract'
import { z } from 'zod'
import type { Flow } from '../catalogue/index.ts'
import { AppError, systemPrincipal } from '../core/index.ts'
import type { Lend } from '../lend/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Action, PlannedTask, TaskContext } from '../workflow/index.ts'

/** Something of the vault that has a new value made by the vault itself. */
const target = z.strictObject({
  kind: z.enum(['transit-key', 'database-role']),
  /** Where the engine is mounted, without a slash at the end. */
  mount: z.string().min(1).max(200),
  name: z.string().min(1).max(200),
})
type Target = z.output<typeof target>

/** How a target is now. It changes with a rotation and with nothing else. */
const standing = z.strictObject({
  target,
  /** The key's newest version, or when the password was changed last. */
  mark: z.string(),
  detail: z.record(z.string(), z.json()),
})
type Standing = z.output<typeof standing>

const reviewArgs = z.strictObject({ targets: z.array(target).min(1).max(50) })
const oneArgs = z.strictObject({ target })
const reviewed = z.strictObject({ before: z.array(standing) })

const rotateInput = z
  .strictObject({
    /** Everything whose name begins with it: `shop`, `shop-app`, `shop.orders`. */
    project: z.string().min(1).max(100).optional(),
    targets: reviewArgs.shape.targets.optional(),
  })
  .refine(({ project, targets }) => (project === undefined) !== (targets === undefined), {
    message: 'give a project or targets',
  })

type Needs = {
  vault: Pick<Vault, 'act'>
  lend: Pick<Lend, 'page'>
}

const rotator = systemPrincipal('rotate')
const approvalSeconds = 24 * 3600
const mostTargets = 50
const engines = [
  { type: 'transit', kind: 'transit-key', folder: 'keys' },
  { type: 'database', kind: 'database-role', folder: 'static-roles' },
] as const

/** New values by the vault's own operations: one question for all, then one after the other, each looked at afterwards. */
export function rotateFlow(needs: Needs): Flow {
  return {
    name: 'rotate',
    title: 'Rotate database passwords and transit keys',
    goals: [
      'rotate [all] [the] (keys|secrets|credentials|passwords) (of|for) [the] [project] {project}',
      'rotate [the] project {project}',
    ],
    input: rotateInput,
    async plan(rawInput) {
      const input = rotateInput.parse(rawInput)
      const targets = input.targets ?? (await targetsOf(needs, input.project ?? ''))
      return {
        flow: 'rotate',
        title: `Rotate ${targets.length === 1 ? nameOf(targets[0]) : `${targets.length} keys and passwords`}`,
        input: rawInput,
        tasks: [reviewTask(targets), ...targets.flatMap(tasksOf)],
      }
    },
  }
}

const nameOf = (one: Target | undefined): string => (one ? `${one.mount}/${one.name}` : 'nothing')

/** What of the vault belongs to a project, by its name. */
async function targetsOf({ vault }: Needs, project: string): Promise<Target[]> {
  const mounts = fieldsOf((await vault.act(rotator, { method: 'GET', path: 'sys/mounts' }))?.['data'])
  const found: Target[] = []
  for (const [path, about] of Object.entries(mounts)) {
    const engine = engines.find(({ type }) => fieldsOf(about)['type'] === type)
    if (!engine) continue
    const mount = path.replace(/\/$/, '')
    for (const name of await namesIn(vault, `${mount}/${engine.folder}`))
      if (belongsTo(project, name)) found.push({ kind: engine.kind, mount, name })
  }
  if (found.length === 0)
    throw new AppError(
      'vault.not_found',
      `no transit key and no static database role has a name that is '${project}' or begins with it`,
    )
  if (found.length > mostTargets)
    throw new AppError(
      'run.plan_invalid',
      `${found.length} belong to '${project}'; one run rotates ${mostTargets}`,
    )
  return found
}

async function namesIn(vault: Needs['vault'], path: string): Promise<string[]> {
  const { keys } = fieldsOf((await vault.act(rotator, { method: 'LIST', path }))?.['data'])
  return Array.isArray(keys) ? keys.map(String) : []
}

const belongsTo = (project: string, name: string): boolean =>
  name === project || (name.startsWith(project) && /^[-_./]/.test(name.slice(project.length)))

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

const reviewTask = (targets: readonly Target[]): PlannedTask => ({
  id: 'review',
  title: `Rotate ${targets.map(nameOf).join(', ')}`,
  action: 'vault.review-rotation',
  args: { targets: plain(targets) },
  needs: [],
  // A password that something outside Keyward holds a copy of is worth nothing afterwards.
  risk: targets.some(({ kind }) => kind === 'database-role') ? 'high' : 'medium',
  reversible: false,
  secrets: targets.map(pathOf),
  approval: { target: targets.map(nameOf).join(', ').slice(0, 500), expiresInSeconds: approvalSeconds },
})

function tasksOf(one: Target, i: number): PlannedTask[] {
  const args = { target: plain(one) }
  return [
    {
      id: `rotate-${i + 1}`,
      title: `Rotate ${nameOf(one)}`,
      action: 'vault.rotate',
      args,
      // One after the other: when one fails, what comes after is left as it is.
      needs: i === 0 ? ['review'] : ['review', `verify-${i}`],
      risk: one.kind === 'database-role' ? 'high' : 'medium',
      reversible: false,
      secrets: [pathOf(one)],
      retry: { maxAttempts: 3, backoffSeconds: 5 },
      timeoutSeconds: 120,
    },
    {
      id: `verify-${i + 1}`,
      title: `See that ${nameOf(one)} has a new ${one.kind === 'transit-key' ? 'version' : 'password'}`,
      action: 'vault.verify-rotation',
      args,
      needs: ['review', `rotate-${i + 1}`],
      risk: 'low',
      reversible: true,
      secrets: [pathOf(one)],
      retry: { maxAttempts: 3, backoffSeconds: 2 },
      timeoutSeconds: 120,
    },
  ]
}

const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value)) as Json

/** What is read to have it. */
const pathOf = ({ kind, mount, name }: Target): string =>
  kind === 'database-role' ? `${mount}/static-creds/${name}` : `${mount}/keys/${name}`

export function rotateActions(needs: Needs): Action[] {
  const { vault } = needs
  return [
    {
      name: 'vault.review-rotation',
      idempotent: true,
      effect: 'read',
      preview: async (args) =>
        plain(await Promise.all(reviewArgs.parse(args).targets.map((one) => shown(needs, one)))),
      async execute({ args }) {
        const before: Standing[] = []
        for (const one of reviewArgs.parse(args).targets) before.push(await standingOf(vault, one))
        return { output: plain({ before }) }
      },
    },
    {
      name: 'vault.rotate',
      // An attempt that was lost may have rotated: then it shows, and is not done again.
      idempotent: true,
      async execute({ args, attempt, outputs }) {
        const { target: one } = oneArgs.parse(args)
        const before = reviewedOf(one, outputs)
        const now = await standingOf(vault, one)
        if (now.mark !== before.mark) {
          if (attempt > 1) return { output: plain({ before: before.mark, after: now.mark }) }
          throw new AppError(
            'task.failed',
            `${nameOf(one)} was rotated by somebody else since it was approved`,
          )
        }
        const path =
          one.kind === 'transit-key'
            ? `${one.mount}/keys/${one.name}/rotate`
            : `${one.mount}/rotate-role/${one.name}`
        await vault.act(rotator, { method: 'POST', path, body: {} })
        return { output: plain({ before: before.mark, after: (await standingOf(vault, one)).mark }) }
      },
    },
    {
      name: 'vault.verify-rotation',
      idempotent: true,
      effect: 'read',
      async execute({ args, outputs }) {
        const { target: one } = oneArgs.parse(args)
        const before = reviewedOf(one, outputs)
        const now = await standingOf(vault, one)
        if (now.mark === before.mark)
          throw new AppError('task.failed', `${nameOf(one)} has the value that it had`)
        if (one.kind === 'transit-key') await roundTrip(vault, one)
        return { output: plain({ mark: now.mark, leases: await usersOf(needs, one) }) }
      },
    },
  ]
}

/** How it was when a person looked at it. */
function reviewedOf(one: Target, outputs: TaskContext['outputs']): Standing {
  const { before } = reviewed.parse(outputs['review'])
  const found = before.find(({ target: { mount, name } }) => mount === one.mount && name === one.name)
  if (!found) throw new AppError('task.failed', `${nameOf(one)} was not among what was reviewed`)
  return found
}

async function shown(needs: Needs, one: Target): Promise<Json> {
  const { mark, detail } = await standingOf(needs.vault, one)
  return plain({
    target: nameOf(one),
    kind: one.kind,
    now: mark,
    ...detail,
    usedBy: await usersOf(needs, one),
  })
}

/** Agents that have it lent now. A placeholder is exchanged for the value of the moment, so each goes on with the new one. */
async function usersOf({ lend }: Needs, one: Target): Promise<string[]> {
  const { items } = await lend.page({ state: 'active', limit: 500 })
  const names = items.filter(({ secretPath }) => secretPath === pathOf(one)).map(({ agentName }) => agentName)
  return [...new Set(names)].sort()
}

async function standingOf(vault: Needs['vault'], one: Target): Promise<Standing> {
  const folder = one.kind === 'transit-key' ? 'keys' : 'static-roles'
  const answer = await vault.act(rotator, { method: 'GET', path: `${one.mount}/${folder}/${one.name}` })
  if (!answer) throw new AppError('vault.not_found', `there is no ${one.kind} ${nameOf(one)}`)
  const data = fieldsOf(answer['data'])
  const pick = (...names: string[]) =>
    Object.fromEntries(
      names.filter((name) => data[name] !== undefined).map((name) => [name, plain(data[name])]),
    )
  return one.kind === 'transit-key'
    ? {
        target: one,
        mark: `version ${String(data['latest_version'])}`,
        detail: pick('type', 'min_decryption_version', 'min_encryption_version'),
      }
    : {
        target: one,
        mark: `changed ${String(data['last_vault_rotation'] ?? 'never')}`,
        detail: pick('username', 'db_name', 'rotation_period', 'rotation_schedule'),
      }
}

/** The newest version encrypts, and what it encrypted is decrypted. Signing keys are only looked at. */
async function roundTrip(vault: Needs['vault'], { mount, name }: Target): Promise<void> {
  const data = fieldsOf(
    (await vault.act(rotator, { method: 'GET', path: `${mount}/keys/${name}` }))?.['data'],
  )
  if (data['supports_encryption'] !== true || data['derived'] === true) return
  const plaintext = Buffer.from('rotation').toString('base64')
  const encrypted = await vault.act(rotator, {
    method: 'POST',
    path: `${mount}/encrypt/${name}`,
    body: { plaintext },
  })
  const { ciphertext } = fieldsOf(encrypted?.['data'])
  const decrypted = await vault.act(rotator, {
    method: 'POST',
    path: `${mount}/decrypt/${name}`,
    body: { ciphertext },
  })
  if (fieldsOf(decrypted?.['data'])['plaintext'] !== plaintext)
    throw new AppError('task.failed', `${mount}/${name} does not decrypt what it encrypted`)
}
