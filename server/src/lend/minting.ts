import { AppError, callService, newId, reasonOf, type Secret } from '../core/index.ts'
import { hashToken } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import type { Needs as LendNeeds } from './lend.ts'
import type { LeaseRow } from './lend-store.ts'
import { tokenPlace } from './token-ends.ts'
import {
  type Minting as How,
  readToken,
  type TokenAnswer,
  tokenPlaces,
  tokenRequest,
} from './token-requests.ts'
import { insertToken, linkToken } from './token-store.ts'

type Needs = Pick<LendNeeds, 'store' | 'audit' | 'clock' | 'vault'>
type Fields = Readonly<Record<string, Secret>>
/** `until` is endless while the token is being asked for: who comes then waits for the same answer. */
type Kept = { readonly token: Promise<Minted>; until: number }
type Minted = {
  readonly id: string
  readonly token: Secret
  /** Whom it was lent to, as far as this process knows. */
  readonly leases: Set<string>
}

/** However long a token lives, it is asked for anew after this, so that a change at the server is felt. */
const longestMs = 600_000
/** Before its end, so that it does not end on its way. */
const marginMs = 60_000

export type Minting = ReturnType<typeof createMinting>

/**
 * Gets access tokens for stored secrets, outside of every sandbox. One is kept in memory for a few minutes and serves all
 * leases that lend the same secret in the same way.
 */
export function createMinting(needs: Needs) {
  const { store, audit, clock, vault } = needs
  const kept = new Map<string, Kept>()

  async function mint(how: How, row: LeaseRow, fields: Fields, renamed: (next: Secret) => void) {
    const value = valueIn(fields, row)
    const answer = await ask(how, value, fields, clock.now())
    if (answer.refreshToken) {
      renamed(answer.refreshToken)
      await keepRefreshToken(needs, row, value, answer.refreshToken)
    }
    const { revokeUrl, probeUrl } = tokenPlaces(how, value)
    const now = clock.now()
    const id = newId('mtk', now)
    // On disk before it is used, so that it is ended even if this process is not there any more.
    await store.write(async (tx) => {
      await insertToken(tx, {
        id,
        secret_path: row.secret_path,
        field: row.field,
        how: JSON.stringify(how),
        revoke_url: revokeUrl ?? null,
        probe_url: probeUrl ?? null,
        minted_at: now.getTime(),
        expires_at: answer.expiresAt?.getTime() ?? null,
        ending_at: null,
        proof: null,
      })
      await linkToken(tx, id, row.id)
      if (revokeUrl !== undefined)
        await vault.sealed.put(tx, tokenPlace(id), Buffer.from(answer.token.reveal()))
      await recordMint(tx, how, row, answer)
    })
    return { id, answer }
  }

  const recordMint = (tx: Tx, how: How, row: LeaseRow, answer: TokenAnswer) =>
    audit.record(tx, {
      type: 'lease.minted',
      outcome: 'done',
      actor: 'system:lend',
      target: `lease:${row.id}`,
      correlation: row.run_id ?? '',
      detail: { kind: how.kind, expiresAt: answer.expiresAt?.toISOString() ?? null },
    })

  const untilOf = ({ expiresAt }: TokenAnswer, now: number): number =>
    Math.min(expiresAt ? expiresAt.getTime() - marginMs : now + longestMs, now + longestMs)

  function begin(key: string, how: How, row: LeaseRow, fields: Fields): Kept {
    const nameOf = (value: Secret): string => keyOf(how, row, { ...fields, [row.field]: value })
    const minted = mint(how, row, fields, (next) => kept.set(nameOf(next), entry))
    const token = minted.then(
      ({ id, answer }): Minted => {
        entry.until = untilOf(answer, clock.now().getTime())
        return { id, token: answer.token, leases: new Set([row.id]) }
      },
      (error: unknown) => {
        entry.until = 0
        throw error
      },
    )
    const entry: Kept = { token, until: Number.POSITIVE_INFINITY }
    kept.set(key, entry)
    return entry
  }

  function drop(tokenId: string): void {
    for (const [key, { token }] of kept)
      void token.then(
        ({ id }) => id === tokenId && kept.delete(key),
        // What failed to be minted is told to who asked for it.
        () => undefined,
      )
  }

  async function tokenFor(how: How, row: LeaseRow, fields: Fields): Promise<Secret> {
    const now = clock.now().getTime()
    for (const [key, { until }] of kept) if (until <= now) kept.delete(key)
    const key = keyOf(how, row, fields)
    const entry = kept.get(key) ?? begin(key, how, row, fields)
    const { id, token, leases } = await entry.token
    if (leases.has(row.id)) return token
    // It may be about to be ended with the last lease that it served.
    if (await store.write((tx) => linkToken(tx, id, row.id))) leases.add(row.id)
    else if (kept.get(key) === entry) kept.delete(key)
    return leases.has(row.id) ? token : tokenFor(how, row, fields)
  }

  return { tokenFor, forget: drop }
}

/** A changed secret has another key, so that what was minted for the old one is not used any more. */
function keyOf(how: How, row: LeaseRow, fields: Fields): string {
  const hashes = Object.entries(fields).map(([name, value]) => [name, hashToken(value.reveal())])
  return JSON.stringify([row.secret_path, row.field, how, hashes.sort()])
}

function valueIn(fields: Fields, { field, secret_path }: LeaseRow): Secret {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (!value) throw new AppError('secret.not_found', `${secret_path} has no field ${field} any more.`)
  return value
}

async function ask(how: How, value: Secret, fields: Fields, now: Date): Promise<TokenAnswer> {
  const request = tokenRequest(how, { value, fields, now })
  const { host } = new URL(request.url)
  const { status, text } = await callService(request).catch((error: unknown) => {
    throw new AppError('lease.mint_failed', `${reasonOf(error)}.`)
  })
  const answer = readToken(status, text, now)
  if ('refused' in answer) throw new AppError('lease.mint_failed', `${host} answered ${answer.refused}.`)
  return answer
}

/** Servers that give a new refresh token take the old one back: it goes into the vault before anything else is done. */
async function keepRefreshToken(
  { store, audit, vault }: Needs,
  row: LeaseRow,
  old: Secret,
  next: Secret,
): Promise<void> {
  if (next.reveal() === old.reveal()) return
  await store.write(async (tx) => {
    const now = await vault.kv.read(row.secret_path, tx)
    // Who stored another one meanwhile knows better.
    if (now?.data[row.field]?.reveal() !== old.reveal()) return
    await vault.kv.write(tx, row.secret_path, { ...now.data, [row.field]: next })
    await audit.record(tx, {
      type: 'secret.written',
      outcome: 'done',
      actor: 'system:lend',
      target: `secret:${row.secret_path}`,
      correlation: row.run_id ?? '',
      detail: {
        lease: row.id,
        field: row.field,
        reason: 'the authorization server gave a new refresh token',
      },
    })
  })
}
