import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, type Clock, type Log, reasonOf, Secret } from '../core/index.ts'
import { type ChildProcessHandle, spawnChild } from './child-process.ts'
import type { EgressRule } from './destination.ts'
import {
  type AuthorityState,
  defaultLimits,
  type Limits,
  type Question,
  type Questions,
  type Refusal,
  type Reply,
  type Report,
  type ToServer,
} from './messages.ts'

/** Whom a channel belongs to; the server's own knowledge, not something that the child may claim. */
export type ChannelOwner = {
  readonly sandboxId: string
  readonly agentId: string
  readonly runId: string | null
  readonly taskId: string | null
}

export type EgressClaim = ChannelOwner & {
  readonly placeholder: string
  readonly host: string
  readonly port: number
  readonly method: string
  /** Without its query. */
  readonly path: string
}

export type EgressRecord = ChannelOwner & Report

/** What the proxy asks the rest of the system, for each use. A refusal is a thrown AppError. */
export type Gate = {
  /** Policy, after the sandbox's own allow list and before any name is looked up. */
  admit(question: ChannelOwner & { host: string; port: number }): Promise<{ allow: boolean; reason: string }>
  /** Durably records the intent, then gives the value. */
  resolve(claim: EgressClaim): Promise<{ value: Secret; leaseId?: string }>
  /** Durably records one request or refused attempt. While it fails, nothing more is let through. */
  record(entry: EgressRecord): Promise<void>
}

export type ProxyHealth = {
  readonly state: 'ok' | 'degraded' | 'failing'
  readonly reason: string | null
  readonly pid: number | null
  readonly restarts: number
  readonly channels: number
}

export type Proxy = {
  start(): Promise<void>
  /** A way out for one sandbox. `socketPath` is for that sandbox alone: whoever can connect to it is the sandbox. */
  open(
    channel: ChannelOwner & { allow: readonly EgressRule[] },
  ): Promise<{ socketPath: string; caPem: string }>
  close(sandboxId: string): Promise<void>
  stop(): Promise<void>
  health(): ProxyHealth
}

type Needs = {
  gate: Gate
  log: Log
  clock: Clock
  dataDir: string
  limits?: Partial<Limits>
  /** Another resolver than the machine's. */
  lookup?: (host: string) => Promise<string[]>
}

type Channel = {
  readonly owner: ChannelOwner
  readonly allow: readonly EgressRule[]
  readonly socketPath: string
  readonly opened: PromiseWithResolvers<{ socketPath: string; caPem: string }>
  readonly closed: PromiseWithResolvers<void>
  /** Both are kept in memory so that a sandbox outlives a crash of the child: it trusts this CA, and was lent these values. */
  authority: { certificatePem: string; key: Secret } | undefined
  readonly values: Map<string, Secret>
}

/** Longest path that a Unix socket's address holds, on every system. */
const socketPathBytes = 100
const startMs = 15_000
const steadyMs = 30_000
const backoffMs = (attempt: number): number => Math.min(10_000, 100 * 2 ** attempt)

/** A private folder for sockets: in the data folder, or, where that is too deep for a socket's address, in the temporary one. */
async function makeRuntimeDir(dataDir: string): Promise<string> {
  const own = join(dataDir, 'egress')
  if (Buffer.byteLength(own) + 32 > socketPathBytes) return mkdtemp(join(tmpdir(), 'keyward-'))
  await rm(own, { recursive: true, force: true })
  await mkdir(own, { recursive: true, mode: 0o700 })
  return own
}

function refusalFor(error: unknown): Refusal {
  if (error instanceof AppError) return { code: error.code, reason: reasonOf(error) }
  return { code: 'server.internal', reason: 'The server could not decide. See its log.' }
}

export function createProxy({ gate, log, clock, dataDir, limits, lookup }: Needs): Proxy {
  const channels = new Map<string, Channel>()
  let runtimeDir = ''
  let child: ChildProcessHandle | undefined
  let ready = Promise.withResolvers<void>()
  let stopping = false
  let restarts = 0
  let attempt = 0
  let recordFailure: string | null = null
  let cancelTimer = (): void => {}

  const sendOpen = ({ owner, allow, socketPath, authority, values }: Channel): void => {
    child?.send({
      kind: 'open',
      channel: {
        sandboxId: owner.sandboxId,
        socketPath,
        allow,
        limits: { ...defaultLimits, ...limits },
        lookup: lookup !== undefined,
        values: [...values.values()].map((value) => value.reveal()),
        ...(authority
          ? { authority: { certificatePem: authority.certificatePem, keyPem: authority.key.reveal() } }
          : {}),
      },
    })
  }

  const answers: {
    [Q in Question]: (channel: Channel, ask: Questions[Q]['ask']) => Promise<Questions[Q]['answer']>
  } = {
    admit: ({ owner }, { host, port }) => gate.admit({ ...owner, host, port }),
    lookup: async (_channel, { host }) => (await lookup?.(host)) ?? [],
    async resolve({ owner, values }, claim) {
      const { value, leaseId } = await gate.resolve({ ...claim, ...owner })
      values.set(claim.placeholder, value)
      return { value: value.reveal(), leaseId: leaseId ?? null }
    },
    async record({ owner }, entry) {
      try {
        await gate.record({ ...entry, ...owner })
        recordFailure = null
      } catch (error) {
        recordFailure = reasonOf(error)
        throw error
      }
      return null
    },
  }

  const reply = async <Q extends Question>(question: Q, ask: Questions[Q]['ask']): Promise<Reply<Q>> => {
    const channel = channels.get(ask.sandboxId)
    if (!channel) return { refusal: { code: 'egress.denied', reason: 'The sandbox has ended.' } }
    try {
      return { answer: await answers[question](channel, ask) }
    } catch (error) {
      if (!(error instanceof AppError)) log.error({ question, reason: reasonOf(error) }, 'egress gate failed')
      return { refusal: refusalFor(error) }
    }
  }

  const opened = (sandboxId: string, { certificatePem, keyPem }: AuthorityState): void => {
    const channel = channels.get(sandboxId)
    if (!channel) return
    channel.authority = { certificatePem, key: new Secret(keyPem) }
    channel.opened.resolve({ socketPath: channel.socketPath, caPem: certificatePem })
  }

  const drop = (sandboxId: string, error?: AppError): void => {
    const channel = channels.get(sandboxId)
    channels.delete(sandboxId)
    if (error) channel?.opened.reject(error)
    channel?.closed.resolve()
  }

  const hear = (from: ChildProcessHandle, message: ToServer): void => {
    if (from !== child) return
    switch (message.kind) {
      case 'ready':
        for (const channel of channels.values()) sendOpen(channel)
        ready.resolve()
        break
      case 'opened':
        opened(message.sandboxId, message.authority)
        break
      case 'failed':
        drop(
          message.sandboxId,
          new AppError('egress.unavailable', `The socket could not be made: ${message.reason}.`),
        )
        break
      case 'closed':
        drop(message.sandboxId)
        break
      case 'ask':
        void reply(message.question, message.ask).then((answer) =>
          from.send({ kind: 'reply', id: message.id, reply: answer }),
        )
        break
    }
  }

  const launch = (): void => {
    const launched = spawnChild({
      runtimeDir,
      onMessage: (message) => hear(launched, message),
      onDiagnostic: (line) => log.warn({ line }, 'egress proxy'),
      onExit: (how) => {
        if (launched === child) lost(how)
      },
    })
    child = launched
    cancelTimer()
    cancelTimer = clock.after(steadyMs, () => {
      attempt = 0
    })
  }

  /** The child is gone: what waits on it is told, and another one takes up the channels. */
  const lost = (how: string): void => {
    child = undefined
    cancelTimer()
    for (const { closed } of channels.values()) closed.resolve()
    if (stopping) return
    ready = Promise.withResolvers()
    const delay = backoffMs(attempt++)
    log.error({ how, delayMs: delay }, 'the egress proxy ended and is started again')
    cancelTimer = clock.after(delay, () => {
      restarts++
      launch()
    })
  }

  /** A wait that ends: what never comes is an error, not a hang. */
  const inTime = <T>(wanted: Promise<T>): Promise<T> => {
    const late = Promise.withResolvers<never>()
    const cancel = clock.after(startMs, () =>
      late.reject(
        new AppError('egress.unavailable', `It did not answer within ${startMs / 1000} s. See the log.`),
      ),
    )
    return Promise.race([wanted, late.promise]).finally(cancel)
  }

  const require = (): void => {
    if (runtimeDir === '' || stopping) throw new AppError('egress.unavailable', 'It has not been started.')
  }

  return {
    async start() {
      runtimeDir = await makeRuntimeDir(dataDir)
      stopping = false
      launch()
      await inTime(ready.promise)
    },
    async open({ allow, ...owner }) {
      require()
      const { sandboxId } = owner
      if (channels.has(sandboxId))
        throw new AppError('request.conflict', `The sandbox ${sandboxId} has a channel already.`)
      const folder = await mkdtemp(join(runtimeDir, 'c-'))
      const channel: Channel = {
        owner,
        allow,
        socketPath: join(folder, 'egress.sock'),
        opened: Promise.withResolvers(),
        closed: Promise.withResolvers(),
        authority: undefined,
        values: new Map(),
      }
      channels.set(sandboxId, channel)
      if (child?.isReady()) sendOpen(channel)
      try {
        return await inTime(channel.opened.promise)
      } catch (error) {
        await this.close(sandboxId)
        throw error
      }
    },
    async close(sandboxId) {
      const channel = channels.get(sandboxId)
      if (!channel) return
      if (child?.isReady()) {
        child.send({ kind: 'close', sandboxId })
        await inTime(channel.closed.promise).catch((error) =>
          log.error({ sandboxId, reason: reasonOf(error) }, 'an egress channel did not close'),
        )
      }
      drop(sandboxId)
      await rm(join(channel.socketPath, '..'), { recursive: true, force: true })
    },
    async stop() {
      stopping = true
      cancelTimer()
      await Promise.all([...channels.keys()].map((sandboxId) => this.close(sandboxId)))
      const gone = child?.end()
      child = undefined
      await gone
      if (runtimeDir !== '') await rm(runtimeDir, { recursive: true, force: true })
    },
    health() {
      const known = { pid: child?.pid ?? null, restarts, channels: channels.size }
      if (recordFailure !== null)
        return { state: 'failing', reason: `Requests cannot be recorded: ${recordFailure}`, ...known }
      if (child?.isReady()) return { state: 'ok', reason: null, ...known }
      return {
        state: runtimeDir === '' || stopping ? 'failing' : 'degraded',
        reason: 'The egress proxy is not running.',
        ...known,
      }
    },
  }
}
