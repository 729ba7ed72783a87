import type { SessionView } from '@keyward/contract'
import { AppError, actorOf, newId, type Principal, type Secret, systemPrincipal } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Proven } from './factors/factors.ts'
import type { Needs, PersonPrincipal, SessionKind, StartedSession } from './identity.ts'
import {
  type CodeRow,
  codeByHash,
  endSessionRows,
  insertCode,
  insertSession,
  personById,
  type SessionRow,
  sessionByHash,
  takeCode,
} from './identity-store.ts'
import { type Person, personOf, requirePerson } from './people.ts'
import type { Authenticated } from './principal-cache.ts'
import type { RefusalRecorder } from './refusals.ts'
import { hashToken, randomToken, sameHash } from './token.ts'

const codeLivesMs = 10 * 60_000
/** A browser's session lasts a working day; that of a command line, a week. */
const sessionLivesMs: Readonly<Record<SessionKind, number>> = {
  cookie: 12 * 3600_000,
  bearer: 7 * 24 * 3600_000,
}
/** A clock that went back further than this cannot tell what has expired. */
const skewMs = 60_000

export function createSessions({ store, audit, bus, clock, refuse }: Needs & { refuse: RefusalRecorder }) {
  async function start(tx: Tx, personId: string, kind: SessionKind): Promise<StartedSession> {
    const person = await requirePerson(tx, personId)
    const token = randomToken('kws_', 43)
    const now = clock.now()
    const row: SessionRow = {
      id: newId('ses', now),
      hash: hashToken(token.reveal()),
      person_id: personId,
      kind,
      signed_in_at: now.getTime(),
      expires_at: now.getTime() + sessionLivesMs[kind],
      last_seen_at: now.getTime(),
      ended_at: null,
    }
    await insertSession(tx, row)
    const target = `session:${row.id}`
    await audit.record(tx, {
      type: 'session.started',
      outcome: 'done',
      actor: `person:${personId}`,
      target,
      detail: { kind },
    })
    await bus.publish(tx, { type: 'session.started', subject: target })
    return { session: viewOf(person, row), token }
  }

  async function live(
    reader: Reader,
    hash: string,
  ): Promise<{ row: SessionRow; person: Person } | undefined> {
    const row = await sessionByHash(reader, hash)
    if (!row || !sameHash(row.hash, hash) || row.ended_at !== null) return undefined
    if (!isWithin(row.signed_in_at, row.expires_at, clock.now().getTime())) return undefined
    const person = await personById(reader, row.person_id)
    return person && person.disabled_at === null ? { row, person: personOf(person) } : undefined
  }

  async function recordEnds(tx: Tx, rows: readonly SessionRow[], actor: string): Promise<void> {
    for (const row of rows) {
      const target = `session:${row.id}`
      await audit.record(tx, {
        type: 'session.ended',
        outcome: 'done',
        actor,
        target,
        detail: { person: `person:${row.person_id}` },
      })
      await bus.publish(tx, { type: 'session.ended', subject: target })
    }
  }

  return {
    start,
    async createCode(tx: Tx, personId: string, by: Principal = systemPrincipal('server')): Promise<Secret> {
      await requirePerson(tx, personId)
      const code = randomToken('kwc_', 32)
      const now = clock.now().getTime()
      const expiresAt = now + codeLivesMs
      await insertCode(tx, {
        hash: hashToken(code.reveal()),
        person_id: personId,
        created_at: now,
        expires_at: expiresAt,
        used_at: null,
      })
      const detail = { expiresAt: new Date(expiresAt).toISOString() }
      await audit.record(tx, {
        type: 'session.link_created',
        outcome: 'done',
        actor: actorOf(by),
        target: `person:${personId}`,
        detail,
      })
      return code
    },

    async exchange(code: string, kind: SessionKind): Promise<StartedSession> {
      const hash = hashToken(code)
      const answer = await store.write(async (tx) => {
        const row = await codeByHash(tx, hash)
        const now = clock.now().getTime()
        const problem = codeProblem(row, hash, now) ?? (await personProblem(tx, row))
        if (problem || !row) return { problem: problem ?? 'unknown', personId: row?.person_id }
        if (!(await takeCode(tx, hash, now))) return { problem: 'used', personId: row.person_id }
        return { started: await start(tx, row.person_id, kind) }
      })
      if (answer.started) return answer.started
      const { problem, personId } = answer
      const target = personId ? `person:${personId}` : 'person:unknown'
      await refuse({ type: 'session.refused', actor: 'person:unknown', target, reason: `code ${problem}` })
      throw new AppError(
        'session.code_invalid',
        'Ask for a new link: run `keyward login --link` on the server.',
      )
    },

    /** What the session behind a token has proved, if it is live. */
    async proven(token: string): Promise<Proven | undefined> {
      const tokenHash = hashToken(token)
      const found = await live(store, tokenHash)
      if (!found) return undefined
      const { row, person } = found
      return {
        personId: person.id,
        tokenHash,
        signedInAt: new Date(row.signed_in_at),
        secondFactorAt: row.second_factor_at ? new Date(row.second_factor_at) : undefined,
        recoveredAt: row.recovered_at ? new Date(row.recovered_at) : undefined,
      }
    },

    async view(token: string): Promise<SessionView | undefined> {
      const found = await live(store, hashToken(token))
      return found && viewOf(found.person, found.row)
    },

    end: (token: string): Promise<boolean> =>
      store.write(async (tx) => {
        const rows = await endSessionRows(tx, 'hash', hashToken(token), clock.now().getTime())
        for (const row of rows) await recordEnds(tx, [row], `person:${row.person_id}`)
        return rows.length > 0
      }),

    async endAllOf(tx: Tx, personId: string, by: Principal): Promise<number> {
      const rows = await endSessionRows(tx, 'person', personId, clock.now().getTime())
      await recordEnds(tx, rows, actorOf(by))
      return rows.length
    },

    async authenticate(hash: string): Promise<Authenticated | undefined> {
      const found = await live(store, hash)
      if (!found) return undefined
      const { person, row } = found
      const principal: PersonPrincipal = {
        kind: 'person',
        id: person.id,
        name: person.name,
        roles: person.roles,
        signedInAt: new Date(row.signed_in_at),
        ...(row.second_factor_at ? { secondFactorAt: new Date(row.second_factor_at) } : {}),
      }
      return { principal, noted: { in: 'session', id: row.id }, expiresAt: row.expires_at }
    },
  }
}

const isWithin = (from: number, until: number, now: number): boolean => now < until && now >= from - skewMs

function codeProblem(row: CodeRow | undefined, hash: string, now: number): string | undefined {
  if (!row || !sameHash(row.hash, hash)) return 'unknown'
  if (row.used_at !== null) return 'used'
  return isWithin(row.created_at, row.expires_at, now) ? undefined : 'expired'
}

async function personProblem(reader: Reader, row: CodeRow | undefined): Promise<string | undefined> {
  const person = row && (await personById(reader, row.person_id))
  return person && person.disabled_at === null ? undefined : 'of a disabled account'
}

const viewOf = (person: Person, row: SessionRow): SessionView => ({
  principal: `person:${person.id}`,
  name: person.name,
  roles: [...person.roles],
  signedInAt: new Date(row.signed_in_at).toISOString(),
  expiresAt: new Date(row.expires_at).toISOString(),
})
