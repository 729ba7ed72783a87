import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type OpenConnections, pathExpression } from '@keyward/contract'
import { AppError, type Clock, type Log, reasonOf, Secret } from '../core/index.ts'
import type { EgressRule } from './destination.ts'
import { createFront, type Front, type FrontOptions } from './front.ts'
import { type Asker, type ChannelOwner, createAnswerer, type Gate, type LoginGate } from './gate.ts'
import { type AuthorityState, defaultLimits, type Limits, type ToChild, type ToServer } from './messages.ts'
import { nothingOpen } from './open-now.ts'
import { createSupervisor, type Supervisor } from './supervise.ts'

export type ProxyHealth = {
  readonly state: 'ok' | 'degraded' | 'failing'
  readonly reason: string | null
  readonly pid: number | null
  readonly restarts: number
  readonly channels: number
}

export type Proxy = {
  /** Makes ready; the child itself is started for the first sandbox. */
  start(): Promise<void>
  /** A way out for one sandbox. `socketPath` is for that sandbox alone: whoever can connect to it is the sandbox. */
  open(
    channel: ChannelOwner & { allow: readonly EgressRule[]; onLent?: OnLent; authority?: KeptAuthority },
  ): Promise<Opened>
  /** Another list for the connections that are yet to come. */
  allow(sandboxId: string, rules: readonly EgressRule[]): void
  /** A front for agents on other machines, who come by TLS with a certificate instead of by a socket of their own. */
  listen(front: FrontOptions): Front
  /** Ends what uses the lease, or every connection of the agent, and records the reason. What comes after is judged anew. */
  cut(which: { readonly leaseId: string } | { readonly agentId: string }, reason: string): void
  /** Ends its connections; resolves when everything that happened on them is recorded. */
  close(sandboxId: string): Promise<void>
  stop(): Promise<void>
  health(): ProxyHealth
  /** Connections that are open now, of one agent or of all. None while the child is away. */
  openNow(agentId?: string): OpenConnections
}
/** One that was made before; a new one for each channel otherwise. */
type KeptAuthority = { readonly certificatePem: string; readonly key: Secret }
/** Hears of each value that the sandbox's placeholders are exchanged for, before it is. */
type OnLent = (value: Secret) => void
type Opened = { readonly socketPath: string; readonly caPem: string }

type Needs = {
  gate: Gate
  /** Without it nothing is lent for databases and SSH. */
  logins?: LoginGate
  log: Log
  clock: Clock
  dataDir: string
  limits?: Partial<Limits>
  /** Another resolver than the machine's. */
  lookup?: (host: string) => Promise<string[]>
}

/** For the log. */
const taskOf = (channel: Channel | undefined) => ({
  runId: channel?.owner.runId,
  taskId: channel?.owner.taskId,
})

type Channel = {
  readonly owner: ChannelOwner
  allow: readonly EgressRule[]
  readonly onLent: OnLent | undefined
  readonly socketPath: string
  readonly opened: PromiseWithResolvers<Opened>
  /** While it is being closed: when the child says that it is. */
  closed: PromiseWithResolvers<void> | undefined
  /** Both are kept in memory so that a sandbox outlives a crash of the child: it trusts this CA, and was lent these values. */
  authority: KeptAuthority | undefined
  readonly values: Map<string, Secret>
  readonly logins: Asker['logins']
  openNow: OpenConnections
}

/** A Unix socket's address holds a little more than this on every system. */
const socketPathBytes = 100
const patienceMs = 15_000
/** A child that no sandbox has used for so long is put to rest. */
const idleMs = 60_000

/** A private folder for sockets: in the data folder, or, where that is too deep for a socket's address, in the temporary one. */
async function makeRuntimeDir(dataDir: string): Promise<string> {
  const own = join(dataDir, 'egress')
  if (Buffer.byteLength(join(own, 'c-xxxxxx', 'egress.sock')) > socketPathBytes) {
    return mkdtemp(join(tmpdir(), 'keyward-'))
  }
  await rm(own, { recursive: true, force: true })
  await mkdir(own, { recursive: true, mode: 0o700 })
  return own
}

const withExpression = (rule: EgressRule): EgressRule =>
  rule.pathPattern === undefined ? rule : { ...rule, pathExpression: pathExpression(rule.pathPattern) }

async function newChannel(
  runtimeDir: string,
  given: Pick<Channel, 'owner' | 'allow' | 'onLent' | 'authority'>,
): Promise<Channel> {
  const folder = await mkdtemp(join(runtimeDir, 'c-'))
  return {
    ...given,
    socketPath: join(folder, 'egress.sock'),
    opened: Promise.withResolvers(),
    closed: undefined,
    values: new Map(),
    logins: new Map(),
    openNow: nothingOpen,
  }
}

/** A wait that ends: what never comes is an error, not a hang. */
function inTime<T>(clock: Clock, wanted: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const reason = `It did not answer within ${patienceMs / 1000} s. See the log.`
  const cancel = clock.after(patienceMs, () => late.reject(new AppError('egress.unavailable', reason)))
  return Promise.race([wanted, late.promise]).finally(cancel)
}

export function createProxy({ gate, logins, log, clock, dataDir, limits, lookup }: Needs): Proxy {
  const channels = new Map<string, Channel>()
  let running: { supervisor: Supervisor<ToChild>; runtimeDir: string } | undefined
  let recordFailure: string | null = null
  let cancelIdle = (): void => {}
  const answer = createAnswerer({
    gate,
    logins,
    log,
    lookup,
    onRecorded(failure) {
      recordFailure = failure
    },
  })

  const sendOpen = (
    supervisor: Supervisor<ToChild>,
    { owner, allow, socketPath, authority, values }: Channel,
  ): void => {
    const known = authority && { certificatePem: authority.certificatePem, keyPem: authority.key.reveal() }
    supervisor.send({
      kind: 'open',
      channel: {
        sandboxId: owner.sandboxId,
        socketPath,
        allow: allow.map(withExpression),
        limits: { ...defaultLimits, ...limits },
        lookup: lookup !== undefined,
        values: [...values.values()].map((value) => value.reveal()),
        ...(known ? { authority: known } : {}),
      },
    })
  }

  const opened = (sandboxId: string, { certificatePem, keyPem }: AuthorityState): void => {
    const channel = channels.get(sandboxId)
    if (!channel) return
    channel.authority = { certificatePem, key: new Secret(keyPem) }
    channel.opened.resolve({ socketPath: channel.socketPath, caPem: certificatePem })
  }

  const reply = async (
    message: ToServer & { kind: 'ask' },
    send: (reply: ToChild) => void,
  ): Promise<void> => {
    const asker = channels.get(message.ask.sandboxId)
    const over = { refusal: { code: 'egress.denied', reason: 'The sandbox has ended.' } } as const
    const given = asker ? await answer(asker, message.question, message.ask) : over
    send({ kind: 'reply', id: message.id, reply: given })
  }

  const opensNow = ({ sandboxId, counts }: ToServer & { kind: 'open now' }): void => {
    const channel = channels.get(sandboxId)
    if (channel) channel.openNow = counts
  }

  const hear = (message: Exclude<ToServer, { kind: 'ready' }>, send: (reply: ToChild) => void): void => {
    if (message.kind === 'ask') void reply(message, send)
    else if (message.kind === 'opened') opened(message.sandboxId, message.authority)
    else if (message.kind === 'closed') channels.get(message.sandboxId)?.closed?.resolve()
    else if (message.kind === 'open now') opensNow(message)
    else {
      const why = new AppError(
        'egress.unavailable',
        `The sandbox's socket could not be made: ${message.reason}.`,
      )
      log.error(
        { ...taskOf(channels.get(message.sandboxId)), sandboxId: message.sandboxId, reason: message.reason },
        'an egress socket could not be made',
      )
      channels.get(message.sandboxId)?.opened.reject(why)
    }
  }

  const started = (): { supervisor: Supervisor<ToChild>; runtimeDir: string } => {
    if (!running) throw new AppError('egress.unavailable', 'It has not been started, or is being stopped.')
    return running
  }

  const close = async (sandboxId: string): Promise<void> => {
    const channel = channels.get(sandboxId)
    if (!channel) return
    if (running?.supervisor.isReady()) {
      channel.closed = Promise.withResolvers()
      running.supervisor.send({ kind: 'close', sandboxId })
      await inTime(clock, channel.closed.promise).catch((error) =>
        log.error(
          { ...taskOf(channel), sandboxId, reason: reasonOf(error) },
          'an egress channel did not close',
        ),
      )
    }
    channels.delete(sandboxId)
    cancelIdle()
    cancelIdle = clock.after(idleMs, () => {
      if (channels.size === 0) void running?.supervisor.rest()
    })
    await rm(dirname(channel.socketPath), { recursive: true, force: true })
  }

  return {
    async start() {
      const runtimeDir = await makeRuntimeDir(dataDir)
      const supervisor = createSupervisor<ToChild, ToServer>({
        main: 'child',
        log,
        clock,
        runtimeDir,
        onReady() {
          for (const channel of channels.values()) sendOpen(supervisor, channel)
        },
        onLost() {
          for (const channel of channels.values()) {
            channel.closed?.resolve()
            channel.openNow = nothingOpen
          }
        },
        onMessage: hear,
      })
      running = { supervisor, runtimeDir }
    },
    async open({ allow, onLent, authority, ...owner }) {
      const { supervisor, runtimeDir } = started()
      const { sandboxId } = owner
      if (channels.has(sandboxId)) {
        throw new AppError('request.conflict', `The sandbox ${sandboxId} has a channel already.`)
      }
      const channel = await newChannel(runtimeDir, { owner, allow, onLent, authority })
      channels.set(sandboxId, channel)
      if (supervisor.isReady()) sendOpen(supervisor, channel)
      else supervisor.wake()
      try {
        return await inTime(clock, channel.opened.promise)
      } catch (error) {
        await close(sandboxId)
        throw error
      }
    },
    cut(which, reason) {
      const leaseId = 'leaseId' in which ? which.leaseId : null
      for (const { owner } of channels.values()) {
        if ('agentId' in which && which.agentId !== owner.agentId) continue
        running?.supervisor.send({ kind: 'cut', sandboxId: owner.sandboxId, leaseId, reason })
      }
    },
    allow(sandboxId, rules) {
      const channel = channels.get(sandboxId)
      if (!channel) return
      channel.allow = rules
      running?.supervisor.send({ kind: 'allow', sandboxId, allow: rules.map(withExpression) })
    },
    listen: (options) => createFront({ ...options, log, clock, runtimeDir: started().runtimeDir }),
    openNow(agentId) {
      const sum = { ...nothingOpen }
      for (const { owner, openNow } of channels.values()) {
        if (agentId !== undefined && agentId !== owner.agentId) continue
        for (const kind of Object.keys(sum) as (keyof OpenConnections)[]) sum[kind] += openNow[kind]
      }
      return sum
    },
    close,
    async stop() {
      if (!running) return
      const { supervisor, runtimeDir } = running
      await Promise.all([...channels.keys()].map(close))
      cancelIdle()
      running = undefined
      await supervisor.stop()
      await rm(runtimeDir, { recursive: true, force: true })
    },
    health() {
      const works = running !== undefined && (running.supervisor.isReady() || running.supervisor.isResting())
      const reason = works
        ? recordFailure && `Requests cannot be recorded: ${recordFailure}`
        : 'The egress proxy is not running.'
      return {
        state: reason === null ? 'ok' : running && recordFailure === null ? 'degraded' : 'failing',
        reason,
        pid: running?.supervisor.pid ?? null,
        restarts: running?.supervisor.restarts ?? 0,
        channels: channels.size,
      }
    },
  }
}
