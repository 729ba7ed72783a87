import type { SessionView } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  type Clock,
  type Log,
  type Principal,
  type Role,
  reasonOf,
  type Secret,
} from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import { type Agent, createAgents } from './agents.ts'
import { createFactors, type Factors, type Proven, type SealedBytes } from './factors/factors.ts'
import { touchAgent, touchSession } from './identity-store.ts'
import { createPeople, type Person, requirePerson } from './people.ts'
import { type Authenticated, createPrincipalCache } from './principal-cache.ts'
import { createRefusalRecorder } from './refusals.ts'
import { createSessions } from './sessions.ts'
import { hashToken } from './token.ts'

export type PersonPrincipal = Principal & { readonly kind: 'person'; readonly signedInAt: Date }
/** What an agent's key allows at most; policy looks at it. */
export type AgentPrincipal = Principal & { readonly kind: 'agent'; readonly scopes: readonly string[] }

export type SessionKind = 'cookie' | 'bearer'
export type StartedSession = { readonly session: SessionView; readonly token: Secret }

export type Identity = {
  /** The first person, an owner; made once, found again every other time. */
  bootstrapOwner(tx: Tx): Promise<Person>
  /** Throws `request.conflict` when the name is taken. */
  createPerson(
    tx: Tx,
    person: { name: string; roles: readonly Role[]; groups?: readonly string[]; by: Principal },
  ): Promise<Person>
  person(personId: string, reader?: Reader): Promise<Person | undefined>
  people(page: {
    cursor?: string | undefined
    limit: number
  }): Promise<{ items: Person[]; next: string | null }>
  /** Throws `person.not_found`, and `person.last_owner` when nobody else would be an owner. */
  setRoles(tx: Tx, personId: string, roles: readonly Role[], by: Principal): Promise<Person>
  /** Throws `person.not_found`. */
  setGroups(tx: Tx, personId: string, groups: readonly string[], by: Principal): Promise<Person>
  /** Ends the person's sessions too. Throws as `setRoles` does. */
  disablePerson(tx: Tx, personId: string, by: Principal, reason: string): Promise<Person>
  /** People who can sign in. */
  countPeople(reader?: Reader): Promise<number>

  /** A code that signs the person in once, within ten minutes. It belongs in a URL's fragment, never in its path or query. */
  createSignInCode(tx: Tx, personId: string, by?: Principal): Promise<Secret>
  /** Throws `session.code_invalid` for a wrong, used or expired code. */
  exchange(code: string, kind: SessionKind): Promise<StartedSession>
  /** A session for somebody whose presence was proved in another way, for example by the server's own token file. */
  startSession(tx: Tx, personId: string, kind: SessionKind): Promise<StartedSession>
  /** The session behind a token, if it is live. */
  session(token: string): Promise<SessionView | undefined>
  /** Whether there was a live session to end. */
  endSession(token: string): Promise<boolean>
  /** How many ended. */
  endSessionsOf(tx: Tx, personId: string, by: Principal): Promise<number>

  /** What the session behind a token has proved lately. Throws `factor.needed` when the token is no session's. */
  proven(token: string): Promise<Proven>
  /** Second factors of people. */
  factors: Factors

  /** Who the token belongs to; undefined when unknown, expired or ended. Throws `agent.inactive` for a quarantined agent. */
  authenticate(token: string): Promise<PersonPrincipal | AgentPrincipal | undefined>

  /** Throws `agent.exists` when the name is taken. The key is shown once. */
  registerAgent(
    tx: Tx,
    agent: {
      name: string
      description: string
      owner: Principal
      scopes?: readonly string[]
      keyExpiresAt?: Date
    },
  ): Promise<{ agent: Agent; apiKey: Secret }>
  /** A new key; the ones before end after `overlapSeconds`. */
  rotateAgentKey(tx: Tx, agentId: string, by: Principal, overlapSeconds: number): Promise<Secret>
  agent(agentId: string, reader?: Reader): Promise<Agent | undefined>
  agentNamed(name: string, reader?: Reader): Promise<Agent | undefined>
  agents(page: {
    cursor?: string | undefined
    limit: number
  }): Promise<{ items: Agent[]; next: string | null }>
  countAgents(): Promise<number>
  /** Throws `agent.not_found`. Whoever quarantines an agent ends its leases in the same transaction. */
  setAgentState(tx: Tx, agentId: string, state: Agent['state'], by: Principal, reason: string): Promise<Agent>

  /** Resolves when what was noted in the background ("last seen") is written. */
  settled(): Promise<void>
}

export type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  log: Log
  /** Where the secrets of second factors are kept. */
  sealed: () => SealedBytes
}

/** A "last seen" is written at most this often. */
const noteEveryMs = 60_000

export function createIdentity(needs: Needs): Identity {
  const cache = createPrincipalCache(needs.clock)
  const refuse = createRefusalRecorder(needs)
  const people = createPeople(needs)
  const sessions = createSessions({ ...needs, refuse })
  const agents = createAgents({ ...needs, refuse })
  const notes = createNotes(needs)
  const factors = createFactors({
    ...needs,
    personOf: requirePerson,
  })

  /** Whatever the transaction changes, no older answer outlives it. */
  const changing = <T>(tx: Tx, result: Promise<T>): Promise<T> => {
    tx.afterCommit(cache.clear)
    return result
  }

  /** What a session has proved is part of who it belongs to. */
  async function forgetting<T>(result: Promise<T>): Promise<T> {
    const given = await result
    cache.clear()
    return given
  }

  async function find(token: string, hash: string): Promise<Authenticated | undefined> {
    if (token.startsWith('kws_')) return sessions.authenticate(hash)
    return token.startsWith('kwa_') ? agents.authenticate(hash) : undefined
  }

  return {
    bootstrapOwner: people.bootstrapOwner,
    createPerson: people.create,
    countPeople: people.count,
    person: people.read,
    people: people.page,
    setRoles: (tx, personId, roles, by) => changing(tx, people.setRoles(tx, personId, roles, by)),
    setGroups: people.setGroups,
    async disablePerson(tx, personId, by, reason) {
      tx.afterCommit(cache.clear)
      const person = await people.disable(tx, personId, by, reason)
      await sessions.endAllOf(tx, personId, by)
      return person
    },

    createSignInCode: sessions.createCode,
    exchange: sessions.exchange,
    startSession: sessions.start,
    session: sessions.view,
    async endSession(token) {
      const ended = await sessions.end(token)
      cache.clear()
      return ended
    },
    async proven(token) {
      const proven = await sessions.proven(token)
      if (proven) return proven
      throw new AppError('factor.needed', 'only somebody who has signed in has second factors')
    },
    factors: {
      ...factors,
      confirm: async (...given) => forgetting(factors.confirm(...given)),
      finishTotp: async (...given) => forgetting(factors.finishTotp(...given)),
      finishKey: async (...given) => forgetting(factors.finishKey(...given)),
    },
    endSessionsOf: (tx, personId, by) => changing(tx, sessions.endAllOf(tx, personId, by)),

    async authenticate(token) {
      const hash = hashToken(token)
      let found = cache.get(hash)
      if (!found) {
        const keep = cache.begin()
        found = await find(token, hash)
        if (found) keep(hash, found)
      }
      if (!found) return undefined
      const now = needs.clock.now().getTime()
      if (found.expiresAt !== null && now >= found.expiresAt) return undefined
      notes.note(found, now)
      return found.principal
    },

    registerAgent: agents.register,
    rotateAgentKey: (tx, agentId, by, overlapSeconds) =>
      changing(tx, agents.rotateKey(tx, agentId, by, overlapSeconds)),
    agent: agents.read,
    agentNamed: agents.named,
    agents: agents.page,
    countAgents: agents.count,
    setAgentState: (tx, agentId, state, by, reason) =>
      changing(tx, agents.setState(tx, agentId, state, by, reason)),
    settled: notes.settled,
  }
}

/** Writes when sessions and agents were last seen, behind the request and not for each one. */
function createNotes({ store, log }: Pick<Needs, 'store' | 'log'>) {
  const notedAt = new Map<string, number>()
  const running = new Set<Promise<void>>()
  return {
    note({ noted }: Authenticated, now: number): void {
      const before = notedAt.get(noted.id)
      if (before !== undefined && Math.abs(now - before) < noteEveryMs) return
      if (notedAt.size > 10_000) notedAt.clear()
      notedAt.set(noted.id, now)
      const write = store
        .write((tx) => (noted.in === 'session' ? touchSession : touchAgent)(tx, noted.id, now), 'kernel')
        .then(
          () => undefined,
          (error: unknown) => log.warn({ noted: noted.in, reason: reasonOf(error) }, 'last use not noted'),
        )
        .finally(() => running.delete(write))
      running.add(write)
    },
    async settled(): Promise<void> {
      await Promise.all(running)
    },
  }
}
