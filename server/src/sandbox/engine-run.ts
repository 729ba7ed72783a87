import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../core/index.ts'
import { type CgroupUsage, usageOfProcess } from './cgroups.ts'
import type { Started, Status } from './conversation.ts'
import type { EngineClient } from './engine-client.ts'
import type { SandboxSpec, SandboxWatch } from './sandbox.ts'
import { watchUsage } from './watch.ts'

type Container = {
  client: EngineClient
  clock: Clock
  /** Of the container. */
  name: string
  /** The program that holds it, and its words. */
  words: readonly string[]
  spec: SandboxSpec
  watch: SandboxWatch
  /** What its runtime keeps for itself in the same control groups. */
  ownMemoryBytes: number
}

/** Starts a container whose guest speaks over standard input and output. The caller removes it after `gone`. */
export function startContainer(container: Container): Started & { child: ChildProcess } {
  const { client, clock, name, words, spec, watch, ownMemoryBytes } = container
  const [program = '', ...rest] = words
  const child = spawn(program, rest, {
    cwd: '/',
    // A session of its own: Ctrl-C in the server's terminal is the server's to handle.
    detached: true,
    env: client.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (part: Buffer) => {
    said = (said + part.toString('utf8')).slice(-4096)
  })
  const closed = closeOf(child)
  const end = endOf(client, name, child, closed)
  const groups = groupsOf(client, name, closed)
  return {
    child,
    channel: { incoming: child.stdout, outgoing: child.stdin },
    output: 'frames',
    said: () => said,
    gone: closed,
    end,
    watch(onLimit) {
      let stop: () => void = () => undefined
      let stopped = false
      void groups.then((found) => {
        if (!found || stopped) return
        const usage = async () => (await found.usage()) ?? nothing
        const cgroup = { controllers: ['memory' as const], usage }
        const { onUsage } = watch
        stop = watchUsage({
          clock,
          limits: { ...spec.limits, memoryBytes: spec.limits.memoryBytes + ownMemoryBytes },
          cgroup,
          rootPid: found.pid,
          mountPoint: '/writable',
          onLimit,
          onUsage,
        })
      })
      return () => {
        stopped = true
        stop()
      }
    },
    async usage() {
      const found = await groups
      const seen = await found?.usage()
      if (seen) return seen
      // Its groups are gone with it, or cannot be seen from here: the engine remembers one of the two.
      end()
      await closed
      const { stdout } = await client.ask(inspection(name, '{{.State.OOMKilled}}'))
      return { outOfMemory: stdout.trim() === 'true', outOfProcesses: false }
    },
  }
}

const nothing: CgroupUsage = {
  outOfMemory: false,
  outOfProcesses: false,
  cpuSeconds: undefined,
  memoryBytes: undefined,
  anonymousBytes: undefined,
  processes: undefined,
}

function closeOf(child: ChildProcess): Promise<Status> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
}

const periodMs = 100
/** How often a container is asked to end before the program that should start it is ended itself. */
const patience = 100

/** Asks until it is over: a container may be about to start when it is asked for the first time. */
function endOf(client: EngineClient, name: string, child: ChildProcess, closed: Promise<Status>): () => void {
  let over = false
  let asked = false
  const settle = () => {
    over = true
  }
  closed.then(settle, settle)

  async function insist(): Promise<void> {
    for (let attempt = 0; !over && attempt < patience; attempt++) {
      await client.ask(['kill', name])
      if (!over) await pause(periodMs)
    }
    if (!over) child.kill('SIGKILL')
  }

  return () => {
    if (asked || over) return
    asked = true
    insist().catch(() => child.kill('SIGKILL'))
  }
}

const inspection = (name: string, format: string): string[] => [
  ...['inspect', '--type', 'container', '--format', format, name],
]

/** The control groups that the engine has made for it, as soon as it runs. */
async function groupsOf(client: EngineClient, name: string, closed: Promise<Status>) {
  let over = false
  const settle = () => {
    over = true
  }
  closed.then(settle, settle)
  while (!over) {
    const { stdout } = await client.ask(inspection(name, '{{.Id}} {{.State.Pid}}'))
    const [containerId = '', pid = '0'] = stdout.trim().split(' ')
    if (Number(pid) > 0) {
      // An engine in another process namespace means another process by this number.
      const usage = await usageOfProcess(Number(pid), containerId)
      return usage && { pid: Number(pid), usage }
    }
    await pause(periodMs)
  }
  return undefined
}
