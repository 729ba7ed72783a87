// Agents' commands in real sandboxes with the whole of Keyward around them, without a run and its approval in front.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { AuditEntry, Json } from '@keyward/contract'
import { Secret, silentLog, systemClock, systemPrincipal } from '../../src/core/index.ts'
import { agentTaskAction } from '../../src/flows/agent-task.ts'
import { type AgentTask, createSandboxedCommands } from '../../src/flows/index.ts'
import { createKeyward, type Keyward } from '../../src/keyward.ts'
import { openDataFolder, openStore } from '../../src/store/index.ts'
import type { TaskContext } from '../../src/workflow/index.ts'
import { cleanUp } from './clean-up.ts'

export type TaskWorld = {
  readonly keyward: Keyward
  readonly agentId: string
  /** Why no sandbox can be had here. */
  readonly skip: string | undefined
  /** Stores a secret at `secret/shop/NAME`. */
  keep(name: string, fields: Record<string, string>): Promise<string>
  /** What the command printed; rejects when it failed. */
  run(task: Partial<AgentTask> & Pick<AgentTask, 'command'>): Promise<string>
  /** Runs the commands of an attempt in the agent's name. */
  readonly runnerOf: (
    heartbeat?: () => void,
  ) => ReturnType<ReturnType<typeof createSandboxedCommands>['runnerOf']>
  /** Ends the task of the last run, as its run would. */
  end(): Promise<void>
  entries(type: string): Promise<AuditEntry[]>
}

const by = systemPrincipal('test')

export const connectionOwner = { kind: 'person', id: 'olga', name: 'olga', roles: ['owner'] } as const

type Input = { [name: string]: Json }

/** Actions of one connection, as attempts at one task of one run. */
export function attemptsAt({ connectors }: Pick<Keyward, 'connectors'>, connection: string) {
  const about = { runId: 'run_1', taskId: 'task', requestedBy: 'system:run' }
  let attempt = 0
  const actionOf = (name: string) => {
    const found = connectors.actions.find((one) => one.name === name)
    assert.ok(found, name)
    return found
  }
  const contextOf = (input: Input): TaskContext => ({
    ...about,
    attempt: ++attempt,
    idempotencyKey: 'run_1:task',
    args: { connection, ...input },
    outputs: {},
    approvedPreview: null,
    risk: 'low',
    signal: new AbortController().signal,
    heartbeat: () => undefined,
  })
  return {
    reconcile: (name: string, input: Input) => actionOf(name).reconcile?.(contextOf(input)),
    execute: async (name: string, input: Input = {}): Promise<Input> =>
      (await actionOf(name).execute(contextOf(input))).output as Input,
    /** What it would change. */
    preview: async (name: string, input: Input) =>
      Object(await actionOf(name).preview?.({ connection, ...input }, about)).change,
  }
}

export async function openTaskWorld(t: TestContext): Promise<TaskWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), 'kwt-'))
  cleanUp(t, () => rmSync(dataDir, { recursive: true, force: true }))
  const folder = openDataFolder(dataDir)
  cleanUp(t, () => folder.release())
  const store = await openStore({ dataDir })
  cleanUp(t, () => store.close())
  const keyward = await createKeyward({
    store,
    clock: systemClock,
    log: silentLog,
    dataDir,
    version: '0.0.0',
    searchPath: process.env['PATH'] ?? '',
    env: { ...process.env, KEYWARD_SANDBOX_POOL: '0' },
    auditDurability: 'disk',
  })
  const { vault, identity, lend, audit } = keyward
  await vault.initialise({ seal: 'keyfile' })
  await keyward.start()
  cleanUp(t, () => keyward.stop())
  const { agent } = await store.write((tx) =>
    identity.registerAgent(tx, { name: 'shop-bot', description: '', owner: by }),
  )
  const shown = { write: () => undefined, close: () => undefined }
  const commands = createSandboxedCommands({ ...keyward, taskOutput: { open: () => shown } })
  const action = agentTaskAction(commands)
  let attempt = 0
  const taskId = 'agent'
  const runId = (): string => `run_${attempt}`
  const { level, reasons } = await keyward.sandbox.probe()
  return {
    keyward,
    agentId: agent.id,
    skip: level === 'none' ? `no sandbox here: ${reasons.join(' ')}` : undefined,
    async keep(name, fields) {
      const secrets = Object.entries(fields).map(([field, value]) => [field, new Secret(value)] as const)
      const path = `secret/shop/${name}`
      await store.write((tx) => vault.kv.write(tx, path, Object.fromEntries(secrets)))
      return path
    },
    async run(task) {
      attempt++
      const args = {
        agentId: agent.id,
        title: 'A task of a test',
        secretPath: '',
        field: 'password',
        variable: 'LENT',
        workspace: null,
        environment: {},
        destinations: [],
        route: null,
        ...task,
      }
      const { output } = await action.execute({
        runId: runId(),
        taskId,
        attempt,
        idempotencyKey: `${runId()}:${taskId}`,
        args: JSON.parse(JSON.stringify(args)),
        outputs: {},
        approvedPreview: null,
        risk: 'low',
        signal: new AbortController().signal,
        heartbeat: () => undefined,
        requestedBy: 'person:test',
      })
      return String(Object(output).output)
    },
    runnerOf(heartbeat = () => undefined) {
      attempt++
      const signal = new AbortController().signal
      return commands.runnerOf({ runId: runId(), taskId, attempt, signal, heartbeat, agentId: agent.id })
    },
    async end() {
      await store.write((tx) => lend.endForTask(tx, runId(), taskId, 'its task succeeded'))
      await lend.proveDue()
    },
    entries: async (type) => (await audit.page({ limit: 500, order: 'asc', type })).items,
  }
}
