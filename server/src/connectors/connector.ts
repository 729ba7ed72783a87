import type { ArtifactRef, ConnectionHealth, Json, Risk } from '@keyward/contract'
import type { z } from 'zod'
import type { Secret, TreeTaker } from '../core/index.ts'
import type { Minting } from '../lend/index.ts'
import type { SandboxedCommand, SandboxedResult } from './sandboxed-command.ts'
import type { Hearing } from './told.ts'

/** A kind of service that runs can work with, as data and code. docs/how-to/write-a-connector.md shows how to write one. */
export type Connector = {
  /** In kebab-case; the first part of the names of its actions. */
  readonly name: string
  readonly title: string
  /** The service's own documentation of what is called here. */
  readonly docs: string
  /** What a connection holds besides its secret: addresses and ids. Never a secret. */
  readonly settings: z.ZodType
  /** Fields that the secret of a connection must have. */
  readonly secretFields: readonly SecretField[]
  readonly actions: readonly ConnectorAction[]
  /** Asks the service how it is. Cheap, and changes nothing there. May throw: then the service is down, with the error's words. */
  health(connection: OpenConnection, signal: AbortSignal): Promise<Wellness>
}

export type SecretField = { readonly name: string; readonly title: string; readonly optional?: true }

/** How a service is; how long its answer took is measured around it. */
export type Wellness = Pick<ConnectionHealth, 'state' | 'detail'>

export type ConnectorAction<I = unknown, O = unknown> = {
  /** `<connector>.<verb>`. */
  readonly name: string
  readonly title: string
  /** Strict: a misspelt argument is refused before anything is sent. */
  readonly input: z.ZodType<I>
  /** What later tasks may use, and everybody may see. */
  readonly output: z.ZodType<O>
  readonly risk: Risk
  readonly reversible: boolean
  /** True when a second execution with the same idempotency key does no harm. Without it, `reconcile` is needed. */
  readonly idempotent: boolean
  /** It changes nothing at the service. A change when absent. */
  readonly effect?: 'read'
  /** What the credentials must allow, as the service names it: `contents:write`. */
  readonly permissions: readonly string[]
  /** What somebody is billed for, in words; absent where that is nothing beside the time that it takes. */
  readonly cost?: string
  /** Fields of the connection's secret that it uses; it gets no others. */
  readonly secretFields: readonly string[]
  /** A dry run: what an approver is shown. Changes nothing. */
  preview?(context: ActionContext<I>): Promise<Json>
  execute(context: ActionContext<I>): Promise<O>
  /** Finds out whether an attempt that was lost had its effect. */
  reconcile?(context: ActionContext<I>): Promise<Reconciled<O>>
}

export type Reconciled<O = unknown> =
  | { readonly effect: 'done'; readonly output: O }
  | { readonly effect: 'none' }
  | { readonly effect: 'unknown'; readonly reason: string }

/** A connection as a connector sees it. */
export type OpenConnection = {
  readonly name: string
  /** As the connector's schema gives it. */
  readonly settings: unknown
  /** A field of its secret. The entry in the audit log is on disk before the value is there. */
  secret(field: string): Promise<Secret>
  now(): Date
}

export type ActionContext<I = unknown> = OpenConnection & {
  readonly runId: string
  readonly taskId: string
  /** 0 in a preview. */
  readonly attempt: number
  /** The same for every attempt of the task. */
  readonly idempotencyKey: string
  /** `<kind>:<id>` of who asked for the run. */
  readonly requestedBy: string
  /** Aborted by the task's timeout, a cancel, or the end of the server. */
  readonly signal: AbortSignal
  /** The header of that name for requests to the service: the attempt is their parent. Undefined where no traces are sent, and in a preview. */
  readonly traceparent: string | undefined
  readonly input: I
  /** Says that it goes on: what has to wait for something calls it each time it hears that it is still to wait. */
  heartbeat(): void
  /**
   * An access token that is asked for with a field of the secret, for this attempt alone: it is ended at its server when the attempt
   * ends, also when this process is not there any more.
   */
  mint(field: string, how: Minting): Promise<Secret>
  /** Hears from now on whether the service tells, of its own accord, that something has changed there; until the attempt ends. */
  hear(place: string, topic: string): Hearing
  /** Resolves after a while, or as soon as something is heard; rejects when the task is to stop. */
  pause(milliseconds: number, hearing?: Hearing): Promise<void>
  /** A program in a fresh sandbox. It gets placeholders for what goes over the network. */
  run(command: SandboxedCommand): Promise<SandboxedResult>
  /** Files for later tasks of the run, as an artifact; there is none when `fill` throws. Their paths must be portable. */
  keep(fill: (taker: TreeTaker) => Promise<void>): Promise<ArtifactRef>
}

/** Keeps the types of input and output together while the action is written. */
export const defineAction = <I, O>(action: ConnectorAction<I, O>): ConnectorAction =>
  action as unknown as ConnectorAction
