import { randomUUID } from 'node:crypto'
import { AppError, type Log, reasonOf, type Secret } from '../core/index.ts'
import type { ByteBudget, Question, Questions, Refusal, Reply, Report, SignInClaim } from './messages.ts'
import type { Place } from './places.ts'
import { proofFor } from './relay/proof.ts'
import type { Scope } from './sigv4.ts'

/** Whom a channel belongs to; the server's own knowledge, not something that the child may claim. */
export type ChannelOwner = {
  readonly sandboxId: string
  readonly agentId: string
  readonly runId: string | undefined
  readonly taskId: string | undefined
}

export type EgressClaim = ChannelOwner & {
  readonly placeholder: string
  readonly host: string
  readonly port: number
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly places: readonly Place[]
  readonly signing: Scope | undefined
}

export type EgressRecord = ChannelOwner & Report

type Lent = {
  readonly value: Secret
  readonly leaseId?: string
  readonly budgets?: readonly ByteBudget[]
  readonly expiresAt?: Date | undefined
  /** What stands in front of the placeholder, and is exchanged with it. */
  readonly prefix?: string
  /** With it, `value` is a key to sign with, and never sent. */
  readonly aws?: { readonly accessKeyId: string; readonly sessionToken: Secret | undefined } | undefined
  /** With it, `value` is the private key to connect with, and never sent. */
  readonly certificatePem?: string | undefined
}

export type SignInRequest = ChannelOwner & SignInClaim

/** What a login is made with. The password stays here unless the protocol has no way around it. */
type Account = {
  readonly username: string
  readonly password: Secret
  /** The child may have the password, because the server of the database is to be sent it. */
  readonly mayShow: boolean
  readonly leaseId: string
  readonly budgets: readonly ByteBudget[]
  readonly expiresAt: Date
}

/** What the proxy asks the rest of the system, for each use. A refusal is a thrown AppError. */
export type Gate = {
  /** Policy, after the sandbox's own allow list and before any name is looked up. */
  admit(
    question: ChannelOwner & { host: string; port: number; passThrough: boolean },
  ): Promise<{ allow: boolean; reason: string }>
  /** Durably records the intent, then gives the value. */
  resolve(claim: EgressClaim): Promise<Lent>
  /** Durably records one request or refused attempt. While it fails, nothing more is let through. */
  record(entry: EgressRecord): Promise<void>
}

/** The same for logins that the proxy makes outside of the sandbox, where no HTTP is spoken. */
export type LoginGate = {
  /** Durably records the intent, then gives the account. */
  signIn(claim: SignInRequest): Promise<Account>
  /** Answers an SSH agent's client with the keys that are lent; a signature is recorded before it is made. */
  sshAgent(
    request: ChannelOwner & { message: Uint8Array; binds: readonly Uint8Array[] },
  ): Promise<{ reply: Uint8Array; refusal: string | undefined }>
  sshTunnel(
    place: ChannelOwner & { host: string; port: number },
  ): Promise<Pick<Account, 'leaseId' | 'budgets' | 'expiresAt'>>
}

export type Asker = {
  readonly owner: ChannelOwner
  readonly values: Map<string, Secret>
  /** Logins that have begun, by their id. */
  readonly logins: Map<string, Pick<Account, 'username' | 'password' | 'mayShow'>>
  readonly onLent: ((value: Secret) => void) | undefined
}
type Needs = {
  gate: Gate
  logins: LoginGate | undefined
  log: Log
  lookup: ((host: string) => Promise<string[]>) | undefined
  /** Why the last record was not written; null when it was. */
  onRecorded(failure: string | null): void
}
/** Puts the child's questions before the gate, in the name of the channel's owner, whatever the child says. */
export type Answerer = <Q extends Question>(
  asker: Asker,
  question: Q,
  ask: Questions[Q]['ask'],
) => Promise<Reply<Q>>

type Answers = {
  [Q in Question]: (asker: Asker, ask: Questions[Q]['ask']) => Promise<Questions[Q]['answer']>
}

function refusalFor(error: unknown): Refusal {
  if (error instanceof AppError) return { code: error.code, reason: reasonOf(error) }
  return { code: 'server.internal', reason: 'The server could not decide. See its log.' }
}

export function createAnswerer({ gate, logins: loginGate, log, lookup, onRecorded }: Needs): Answerer {
  const lends = (): LoginGate => {
    if (!loginGate) throw new AppError('egress.unsupported', 'Nothing is lent for logins here.')
    return loginGate
  }
  const answers: Answers = {
    admit: ({ owner }, { host, port, passThrough }) => gate.admit({ ...owner, host, port, passThrough }),
    lookup: async (_asker, { host }) => (await lookup?.(host)) ?? [],
    async resolve({ owner, values, onLent }, claim) {
      const lent = await gate.resolve({ ...claim, ...owner })
      const { value, leaseId, prefix, aws, certificatePem, budgets, expiresAt } = lent
      const sessionToken = aws?.sessionToken
      for (const [name, known] of Object.entries({ value, sessionToken })) {
        if (!known) continue
        values.set(`${claim.placeholder} ${name}`, known)
        onLent?.(known)
      }
      return {
        value: value.reveal(),
        leaseId: leaseId ?? null,
        budgets: budgets ?? [],
        expiresAt: expiresAt ?? null,
        prefix: prefix ?? '',
        aws: aws ? { accessKeyId: aws.accessKeyId, sessionToken: sessionToken?.reveal() ?? null } : null,
        certificatePem: certificatePem ?? null,
      }
    },
    async signIn({ owner, values, logins, onLent }, claim) {
      const account = await lends().signIn({ ...claim, ...owner })
      const { username, password, mayShow, leaseId, budgets, expiresAt } = account
      onLent?.(password)
      const isSent = claim.kind === 'redis' && mayShow
      if (isSent) values.set(`${claim.placeholder} password`, password)
      const loginId = randomUUID()
      if (!isSent) logins.set(loginId, { username, password, mayShow })
      return {
        loginId,
        username,
        password: isSent ? password.reveal() : null,
        leaseId,
        budgets,
        expiresAt,
      }
    },
    async prove({ logins, values }, { loginId, challenge }) {
      const login = logins.get(loginId)
      logins.delete(loginId)
      if (!login) throw new AppError('egress.denied', 'This login has had its proof.')
      if (challenge.kind === 'cleartext') values.set(`${loginId} password`, login.password)
      return proofFor(login, challenge)
    },
    async sshAgent({ owner }, { message, binds }) {
      const { reply, refusal } = await lends().sshAgent({ ...owner, message, binds })
      return { reply, refusal: refusal ?? null }
    },
    async sshTunnel({ owner }, { host, port }) {
      const { leaseId, budgets, expiresAt } = await lends().sshTunnel({ ...owner, host, port })
      return { leaseId, budgets, expiresAt }
    },
    async record({ owner }, entry) {
      try {
        await gate.record({ ...entry, ...owner })
      } catch (error) {
        onRecorded(reasonOf(error))
        throw error
      }
      onRecorded(null)
      return null
    },
  }
  return async (asker, question, ask) => {
    try {
      return { answer: await answers[question](asker, ask) }
    } catch (error) {
      if (!(error instanceof AppError)) log.error({ question, reason: reasonOf(error) }, 'egress gate failed')
      return { refusal: refusalFor(error) }
    }
  }
}
