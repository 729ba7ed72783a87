import type { TestContext } from 'node:test'
import type { Json } from '@keyward/contract'
import {
  type Connector,
  type Connectors,
  connectorsMigrations,
  createConnectors,
  type SandboxedForConnectors,
  type ServiceUse,
} from '../../src/connectors/index.ts'
import {
  AppError,
  digestOf,
  type Principal,
  Secret,
  silentLog,
  type TreeTaker,
} from '../../src/core/index.ts'
import type { Action, TaskContext } from '../../src/workflow/index.ts'
import { openWorld, type World } from './world.ts'

export const connectingOwner: Principal = { kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] }

export type ConnectorWorld = World & {
  readonly connectors: Connectors
  /** What the vault holds, by path; change it as a person would. */
  readonly secrets: Map<string, Record<string, string>>
  readonly vault: { sealed: boolean }
  /** Whether traces of runs are sent. */
  readonly traces: { sent: boolean }
  /** What is kept encrypted, by its path. */
  readonly sealed: Map<string, Buffer>
  /** Files that tasks left, by the id of the artifact: `x` before the content of a program. */
  readonly artifacts: Map<string, Record<string, string>>
  /** What was asked of policy; add a word to `forbidden` to have the action of that name denied. */
  readonly uses: ServiceUse[]
  readonly forbidden: Set<string>
  connect(wanted: { name?: string; connector: string; settings?: Record<string, Json> }): Promise<string>
  action(name: string): Action
  /** Executes the action as the first attempt of a task would, and gives its output. */
  execute(name: string, args: Json, more?: Partial<TaskContext>): Promise<Json>
  preview(name: string, args: Json): Promise<Json>
  entries(type: string): Promise<{ outcome: string; detail: Json; correlation: string }[]>
}

export const secretPath = 'secret/service/bot'

/** `migrations`: of the other domains that the test opens. */
type Around = { sandboxed?: SandboxedForConnectors; migrations?: Parameters<typeof openWorld>[1] }

/** Connectors over a real store, with a vault that holds what the test says. */
export async function openConnectorWorld(
  t: TestContext,
  connectors: readonly Connector[],
  { sandboxed = noSandbox, migrations = [] }: Around = {},
): Promise<ConnectorWorld> {
  const world = await openWorld(t, [...connectorsMigrations, ...migrations])
  const secrets = new Map<string, Record<string, string>>()
  const vault = { sealed: false }
  const traces = { sent: false }
  const uses: ServiceUse[] = []
  const sealed = new Map<string, Buffer>()
  const forbidden = new Set<string>()
  const artifacts = new Map<string, Record<string, string>>()
  const opened = createConnectors({
    ...world,
    log: silentLog,
    random: () => 0.5,
    vault: {
      status: () => ({ initialised: true, sealed: vault.sealed, seal: 'keyfile' }) as never,
      sealed: {
        get: async (path) => sealed.get(path),
        put: async (_, path, bytes) => void sealed.set(path, Buffer.from(bytes)),
        delete: async (_, path) => void sealed.delete(path),
      },
      kv: {
        async read(path) {
          if (vault.sealed) throw new AppError('vault.sealed')
          const fields = secrets.get(path)
          if (!fields) return undefined
          const data = Object.fromEntries(
            Object.entries(fields).map(([name, value]) => [name, new Secret(value)]),
          )
          return { version: 1, createdAt: world.clock.now(), data }
        },
      },
    },
    connectors,
    assertMayLend(_, path) {
      if (forbidden.has(path)) throw new AppError('policy.denied', `nobody may lend ${path}`)
    },
    async assertMayUse(use) {
      uses.push(use)
      if (forbidden.has(use.action.name)) throw new AppError('policy.denied', 'the policy of the test')
    },
    sandboxed,
    traced: () => traces.sent,
    artifacts: { create: async () => artifactIn(artifacts) },
  })
  const action = (name: string): Action => {
    const found = opened.actions.find((one) => one.name === name)
    if (!found) throw new Error(`there is no action ${name}`)
    return found
  }
  return {
    ...world,
    connectors: opened,
    secrets,
    vault,
    traces,
    sealed,
    artifacts,
    uses,
    forbidden,
    async connect({ name = 'main', connector, settings = {} }) {
      const { id } = await opened.create({ name, connector, settings, secretPath }, connectingOwner)
      return id
    },
    action,
    execute: async (name, args, more = {}) =>
      (await action(name).execute({ ...firstAttempt(args), ...more })).output,
    preview: async (name, args) =>
      (await action(name).preview?.(args, { runId: 'run_1', taskId: 'a', requestedBy: 'person:olga' })) ??
      null,
    entries: async (type) => (await world.audit.page({ limit: 500, order: 'asc', type })).items,
  }
}

function artifactIn(kept: ConnectorWorld['artifacts']) {
  const files: Record<string, string> = {}
  const id = `art_${kept.size}`
  const taker: TreeTaker = {
    async directory(path) {
      files[`${path}/`] = ''
    },
    async file({ path, executable }, body) {
      const parts: Uint8Array[] = []
      for await (const part of body) parts.push(part)
      files[path] = `${executable ? 'x ' : ''}${Buffer.concat(parts)}`
    },
  }
  return {
    ...taker,
    async finish() {
      kept.set(id, files)
      return { id, digest: digestOf(files), sizeBytes: Object.values(files).join('').length }
    },
    discard: async () => undefined,
  }
}

const noSandbox: SandboxedForConnectors = {
  run: async () => {
    throw new AppError('sandbox.unavailable', 'there is none in this test')
  },
  ended: async () => undefined,
}

export const firstAttempt = (args: Json): TaskContext => ({
  runId: 'run_1',
  taskId: 'a',
  attempt: 1,
  idempotencyKey: 'run_1:a',
  args,
  outputs: {},
  approvedPreview: null,
  risk: 'low',
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  requestedBy: 'person:olga',
})
