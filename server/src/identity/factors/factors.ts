import { randomBytes } from 'node:crypto'
import type { FactorView } from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import { AppError, type Clock, newId, type Secret } from '../../core/index.ts'
import type { Reader, Store, Tx } from '../../store/index.ts'
import type { Person } from '../people.ts'
import { hashToken, randomToken } from '../token.ts'
import { newApp, stepShown } from './app.ts'
import { type AttemptKind, createAttempts } from './attempts.ts'
import {
  attemptsOf,
  confirmFactor,
  countRecoveryCodes,
  deleteFactor,
  type FactorRow,
  factorById,
  factorsOf,
  insertChallenge,
  insertFactor,
  markSession,
  noteUse,
  replaceRecoveryCodes,
  takeChallenge,
  useRecoveryCode,
  useStep,
  writeAttempts,
} from './factors-store.ts'
import { algorithms, challengeOf, countOf, type Enrolled, enrolledBy, rpIdOf } from './webauthn.ts'

/** Encrypted bytes under paths; throws `vault.sealed` while the vault is closed. */
export type SealedBytes = {
  get(path: string, reader?: Reader): Promise<Buffer | undefined>
  put(tx: Tx, path: string, bytes: Uint8Array): Promise<void>
  delete(tx: Tx, path: string): Promise<void>
}

/** A session, and what it has proved lately. */
export type Proven = {
  readonly personId: string
  readonly tokenHash: string
  readonly signedInAt: Date
  readonly secondFactorAt: Date | undefined
  readonly recoveredAt: Date | undefined
}

export type Shown = {
  readonly code?: Secret | undefined
  readonly recoveryCode?: Secret | undefined
  readonly key?:
    | {
        readonly credential: string
        readonly clientData: string
        readonly authenticatorData: string
        readonly signature: string
      }
    | undefined
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  clock: Pick<Clock, 'now'>
  sealed: () => SealedBytes
  personOf: (reader: Reader, personId: string) => Promise<Person>
}

export type Factors = ReturnType<typeof createFactors>

const freshMs = 5 * 60_000
const freshSignInMs = 15 * 60_000
const unfinishedMs = 10 * 60_000
const challengeMs = 5 * 60_000
const mostFailures = 5
const waitMs = 15 * 60_000
const recoveryCodeCount = 10

export function createFactors({ store, audit, clock, sealed, personOf }: Needs) {
  const attempts = createAttempts()
  const now = (): number => clock.now().getTime()
  const pathOf = ({ person_id, id }: Pick<FactorRow, 'person_id' | 'id'>): string =>
    `people/${person_id}/factors/${id}`

  const record = (
    tx: Tx,
    type: 'factor.added' | 'factor.removed' | 'factor.confirmed' | 'factor.refused' | 'factor.codes_made',
    personId: string,
    detail: Record<string, string | number>,
  ) => {
    const actor = `person:${personId}`
    const outcome = type === 'factor.refused' ? ('denied' as const) : ('done' as const)
    return audit.record(tx, { type, outcome, actor, target: actor, detail })
  }

  const isYounger = (at: Date | undefined, ms: number): boolean => {
    const age = at ? now() - at.getTime() : Number.POSITIVE_INFINITY
    return age < ms && age > -60_000
  }

  /** Who has factors shows one before changing them; who has none, that they signed in just now. */
  async function assertMayChange(reader: Reader, who: Proven): Promise<void> {
    const has = (await factorsOf(reader, who.personId)).length > 0
    if (!has && isYounger(who.signedInAt, freshSignInMs)) return
    if (isYounger(who.secondFactorAt, freshMs) || isYounger(who.recoveredAt, freshMs)) return
    throw new AppError(
      'factor.needed',
      has
        ? 'show one of your factors, or a recovery code, first: keyward second-factor confirm'
        : 'the first factor is added within 15 minutes of signing in; sign out and in again',
    )
  }

  async function foundFactor(reader: Reader, personId: string, id: string): Promise<FactorRow> {
    const row = await factorById(reader, personId, id)
    if (row) return row
    throw new AppError('factor.not_found', `you have no factor ${id}; keyward second-factor list shows them`)
  }

  async function begin(tx: Tx, who: Proven, kind: FactorRow['kind'], name: string, hidden: Uint8Array) {
    await assertMayChange(tx, who)
    const row = { id: newId('fct', clock.now()), person_id: who.personId, kind, name, created_at: now() }
    await insertFactor(tx, row, now() - unfinishedMs)
    await sealed().put(tx, pathOf(row), hidden)
    return row
  }

  async function hiddenOf(reader: Reader, row: FactorRow): Promise<Buffer> {
    const bytes = await sealed().get(pathOf(row), reader)
    if (!bytes) throw new AppError('factor.not_found', `nothing is kept of the factor ${row.id}; remove it`)
    return bytes
  }

  /** What is kept of a security key: nothing of it is secret. */
  const keyOf = async <T extends { origin: string }>(reader: Reader, row: FactorRow): Promise<T> =>
    JSON.parse((await hiddenOf(reader, row)).toString('utf8'))

  /** Counts the attempt before it is judged, so that many at once are no more guesses than one after the other. */
  const attempt = (personId: string, kind: AttemptKind): Promise<void> =>
    store.write(async (tx) => {
      const before = await attemptsOf(tx, personId)
      const recent = before && now() - Number(before.last_at) < waitMs
      const failures = recent ? Number(before.failures) : 0
      if (failures >= mostFailures) {
        attempts.count(kind, 'limited')
        throw new AppError('factor.limited', 'wait a quarter of an hour after five that were wrong')
      }
      await writeAttempts(tx, personId, failures + 1, now())
    })

  /** Runs `show` in a transaction; what is wrong is recorded, and then thrown. */
  async function judged<T>(
    { personId, kind }: { personId: string; kind: AttemptKind },
    show: (tx: Tx) => Promise<T | undefined>,
  ): Promise<T> {
    await attempt(personId, kind)
    const result = await store.write(async (tx) => {
      const good = await show(tx)
      if (good === undefined)
        await record(tx, 'factor.refused', personId, { kind, reason: 'wrong, used or too old' })
      else await writeAttempts(tx, personId, 0, now())
      return good
    })
    attempts.count(kind, result === undefined ? 'refused' : 'confirmed')
    if (result === undefined) throw new AppError('factor.wrong')
    return result
  }

  /** Whoever adds a factor has just shown it. */
  async function finish(
    tx: Tx,
    { tokenHash }: Proven,
    row: FactorRow,
    set: { step: number | null; credential: string | null },
  ) {
    if (!(await confirmFactor(tx, row.id, { at: now(), ...set }))) return undefined
    await record(tx, 'factor.added', row.person_id, { factorId: row.id, kind: row.kind, name: row.name })
    await markSession(tx, tokenHash, 'second_factor', now())
    const has = (await countRecoveryCodes(tx, row.person_id)) > 0
    return { factor: viewOf(row), recoveryCodes: has ? null : await newCodes(tx, row.person_id) }
  }

  async function newCodes(tx: Tx, personId: string): Promise<Secret[]> {
    const codes = Array.from({ length: recoveryCodeCount }, () => randomToken('kwr_', 24))
    await replaceRecoveryCodes(
      tx,
      personId,
      codes.map((code) => hashToken(code.reveal())),
    )
    await record(tx, 'factor.codes_made', personId, { codes: codes.length })
    return codes
  }

  async function showTotp(tx: Tx, personId: string, code: Secret): Promise<boolean> {
    for (const row of await factorsOf(tx, personId)) {
      if (row.kind !== 'totp') continue
      const step = stepShown(await hiddenOf(tx, row), code, clock.now())
      if (step !== undefined && (await useStep(tx, row.id, step, now()))) return true
    }
    return false
  }

  async function showKey(tx: Tx, personId: string, given: NonNullable<Shown['key']>): Promise<boolean> {
    const row = (await factorsOf(tx, personId)).find(({ credential }) => credential === given.credential)
    if (!row) return false
    const enrolled = await keyOf<Enrolled>(tx, row)
    const challenge = challengeOf(given.clientData, 'webauthn.get', enrolled.origin)
    if (challenge === undefined) return false
    const hash = hashToken(challenge)
    if (!(await takeChallenge(tx, { hash, personId, purpose: 'confirm' }, now()))) return false
    const counter = countOf(enrolled, given)
    if (counter === undefined) return false
    await sealed().put(tx, pathOf(row), Buffer.from(JSON.stringify({ ...enrolled, counter })))
    await noteUse(tx, row.id, now())
    return true
  }

  async function kindShown(tx: Tx, personId: string, { code, recoveryCode, key }: Shown) {
    if (code !== undefined) return (await showTotp(tx, personId, code)) ? ('totp' as const) : undefined
    if (key !== undefined) return (await showKey(tx, personId, key)) ? ('key' as const) : undefined
    if (recoveryCode === undefined) return undefined
    const good = await useRecoveryCode(tx, personId, hashToken(recoveryCode.reveal().trim()), now())
    return good ? ('recovery' as const) : undefined
  }

  return {
    /** Since the start of the process: how often each kind was shown, and what came of it. */
    attempts: attempts.counts,

    /** Throws `factor.not_found` for what is not theirs. */
    async assertOwn(personId: string, factorId: string): Promise<void> {
      await foundFactor(store, personId, factorId)
    },

    async list(personId: string) {
      const rows = await factorsOf(store, personId)
      return { items: rows.map(viewOf), recoveryCodesLeft: await countRecoveryCodes(store, personId) }
    },

    addTotp: (who: Proven, name: string) =>
      store.write(async (tx) => {
        const app = newApp((await personOf(tx, who.personId)).name)
        const row = await begin(tx, who, 'totp', name, app.stored)
        app.stored.fill(0)
        return { factorId: row.id, url: app.url, secret: app.base32 }
      }),

    finishTotp: async (who: Proven, factorId: string, code: Secret) => {
      await assertMayChange(store, who)
      await foundFactor(store, who.personId, factorId)
      return judged({ personId: who.personId, kind: 'totp' }, async (tx) => {
        const row = await foundFactor(tx, who.personId, factorId)
        if (row.kind !== 'totp' || row.confirmed_at !== null || now() - row.created_at > unfinishedMs)
          return undefined
        const step = stepShown(await hiddenOf(tx, row), code, clock.now())
        return step === undefined ? undefined : finish(tx, who, row, { step, credential: null })
      })
    },

    addKey: (who: Proven, name: string, origin: string) =>
      store.write(async (tx) => {
        const row = await begin(tx, who, 'key', name, Buffer.from(JSON.stringify({ origin })))
        const challenge = randomBytes(32).toString('base64url')
        const { personId } = who
        const hash = hashToken(challenge)
        await insertChallenge(tx, { hash, personId, purpose: row.id }, now(), now() + unfinishedMs)
        const keys = (await factorsOf(tx, personId)).flatMap(({ credential }) => credential ?? [])
        return {
          factorId: row.id,
          challenge,
          rpId: rpIdOf(origin),
          userId: Buffer.from(personId).toString('base64url'),
          userName: (await personOf(tx, personId)).name,
          algorithms: [...algorithms],
          exclude: keys,
        }
      }),

    finishKey: (who: Proven, factorId: string, given: { clientData: string; attestation: string }) =>
      store.write(async (tx) => {
        const { personId } = who
        await assertMayChange(tx, who)
        const row = await foundFactor(tx, personId, factorId)
        if (row.kind !== 'key') throw new AppError('factor.wrong', `${factorId} is an app, not a key`)
        const { origin } = await keyOf<{ origin: string }>(tx, row)
        const challenge = challengeOf(given.clientData, 'webauthn.create', origin)
        const hash = hashToken(challenge ?? '')
        const enrolled = enrolledBy(given.attestation, origin)
        if (!enrolled || !(await takeChallenge(tx, { hash, personId, purpose: factorId }, now())))
          throw new AppError('factor.wrong', 'the key did not answer what it was asked, for this page')
        await sealed().put(tx, pathOf(row), Buffer.from(JSON.stringify(enrolled)))
        const done = await finish(tx, who, row, { step: null, credential: enrolled.credential })
        if (!done) throw new AppError('factor.wrong', 'this factor is finished already')
        return done
      }),

    challenge: (personId: string, origin: string) =>
      store.write(async (tx) => {
        const rows = (await factorsOf(tx, personId)).filter(({ kind }) => kind === 'key')
        const hidden = await Promise.all(rows.map((row) => keyOf<Enrolled>(tx, row)))
        const credentials = hidden.filter((key) => key.origin === origin).map(({ credential }) => credential)
        if (credentials.length === 0)
          throw new AppError('factor.not_found', `you have no security key for ${origin}`)
        const challenge = randomBytes(32).toString('base64url')
        const hash = hashToken(challenge)
        await insertChallenge(tx, { hash, personId, purpose: 'confirm' }, now(), now() + challengeMs)
        return { challenge, rpId: rpIdOf(origin), credentials }
      }),

    async confirm(who: Pick<Proven, 'personId' | 'tokenHash'>, shown: Shown) {
      const { personId, tokenHash } = who
      if ((await factorsOf(store, personId)).length === 0)
        throw new AppError('factor.not_found', 'you have none yet: keyward second-factor add-totp')
      return judged({ personId, kind: kindOf(shown) }, async (tx) => {
        const kind = await kindShown(tx, personId, shown)
        if (kind === undefined) return undefined
        await markSession(tx, tokenHash, kind === 'recovery' ? 'recovered' : 'second_factor', now())
        await record(tx, 'factor.confirmed', personId, { kind })
        return { kind, freshUntil: new Date(now() + freshMs).toISOString() }
      })
    },

    remove: (who: Proven, factorId: string): Promise<FactorView> =>
      store.write(async (tx) => {
        await assertMayChange(tx, who)
        const row = await foundFactor(tx, who.personId, factorId)
        await deleteFactor(tx, row.id)
        await sealed().delete(tx, pathOf(row))
        await record(tx, 'factor.removed', who.personId, { factorId, kind: row.kind, name: row.name })
        return viewOf(row)
      }),

    recoveryCodes: (who: Proven): Promise<Secret[]> =>
      store.write(async (tx) => {
        await assertMayChange(tx, who)
        return newCodes(tx, who.personId)
      }),
  }
}

const kindOf = ({ code, key }: Shown): AttemptKind =>
  code !== undefined ? 'totp' : key === undefined ? 'recovery' : 'key'

const viewOf = ({ id, kind, name, created_at, last_used_at }: FactorRow): FactorView => ({
  id,
  kind,
  name,
  createdAt: new Date(created_at).toISOString(),
  lastUsedAt: last_used_at === null ? null : new Date(last_used_at).toISOString(),
})
