import { AppError, type Clock, type Log, reasonOf } from '../core/index.ts'
import {
  defaultFrontLimits,
  type FromFront,
  type FrontIdentity,
  type FrontLimits,
  type FrontRefusal,
  type ToFront,
  type Way,
} from './front-messages.ts'
import { createSupervisor } from './supervise.ts'

/** A certificate that shook hands: signed by the authority, within its time. Whether it still counts is for the server to say. */
export type Visitor = { readonly id: number; readonly fingerprint: string; readonly address: string }

export type FrontOptions = {
  readonly host: string
  readonly port: number
  readonly identity: FrontIdentity
  readonly limits?: Partial<FrontLimits> | undefined
  enter(visitor: Visitor): Promise<Way>
  left(id: number): void
  /** The process is gone, and everybody with it. */
  lost(): void
}

export type FrontState = {
  /** `host:port`; null while it does not listen. */
  readonly address: string | null
  readonly entered: number
  readonly refused: Readonly<Record<FrontRefusal, number>>
}

/** Listens for agents on other machines, in a process of its own that has neither values nor the store. */
export type Front = {
  /** Resolves when it listens. Throws `server.cannot_listen`. */
  readonly listening: Promise<{ host: string; port: number }>
  state(): FrontState
  renew(identity: FrontIdentity): void
  drop(fingerprints: readonly string[]): void
  stop(): Promise<void>
}

type Needs = FrontOptions & { log: Log; clock: Clock; runtimeDir: string }

export function createFront({
  log,
  clock,
  runtimeDir,
  host,
  port,
  limits,
  enter,
  left,
  lost,
  ...given
}: Needs): Front {
  const listening = Promise.withResolvers<{ host: string; port: number }>()
  const refused: Record<FrontRefusal, number> = { rate: 0, busy: 0, handshake: 0, certificate: 0, slow: 0 }
  let { identity } = given
  let entered = 0
  // Chosen by the system at first where 0 was asked for, and then kept: clients know it by now.
  let boundPort = port
  let address: string | null = null

  const lead = async (visitor: Visitor): Promise<Way> => {
    try {
      const way = await enter(visitor)
      if ('socketPath' in way) entered++
      return way
    } catch (error) {
      if (!(error instanceof AppError)) log.error({ reason: reasonOf(error) }, 'the front could not ask')
      return {
        refusal: error instanceof AppError ? reasonOf(error) : 'The server could not decide. See its log.',
      }
    }
  }

  const supervisor = createSupervisor<ToFront, FromFront>({
    main: 'front-child',
    log,
    clock,
    runtimeDir,
    onReady() {
      const all = { ...defaultFrontLimits, ...limits }
      supervisor.send({ kind: 'listen', host, port: boundPort, identity, limits: all })
    },
    onLost() {
      address = null
      lost()
    },
    onMessage(message, answer) {
      if (message.kind === 'enter')
        void lead(message).then((way) => answer({ kind: 'way', id: message.id, way }))
      else if (message.kind === 'left') left(message.id)
      else if (message.kind === 'refused') refused[message.why]++
      else if (message.kind === 'listening') {
        boundPort = message.port
        address = `${message.host.includes(':') ? `[${message.host}]` : message.host}:${message.port}`
        listening.resolve({ host: message.host, port: message.port })
      } else {
        log.error(
          { reason: message.reason, host, port: boundPort },
          'the front for other machines cannot listen',
        )
        listening.reject(new AppError('server.cannot_listen', `${host}:${boundPort}: ${message.reason}`))
      }
    },
  })
  // A refusal is told by whoever waits; nobody has to.
  listening.promise.catch(() => undefined)
  supervisor.wake()

  return {
    listening: listening.promise,
    state: () => ({ address, entered, refused: { ...refused } }),
    renew(next) {
      identity = next
      supervisor.send({ kind: 'identity', identity })
    },
    drop: (fingerprints) => supervisor.send({ kind: 'drop', fingerprints }),
    // Not by its leave: at its end it would remove the folder that it shares with the proxy.
    stop: () => supervisor.rest(),
  }
}
