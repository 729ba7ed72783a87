import { AppError, callService, reasonOf, type Secret } from '../core/index.ts'
import { hashToken } from '../identity/index.ts'
import type { Needs as LendNeeds } from './lend.ts'
import type { LeaseRow } from './lend-store.ts'
import { type Minting, readToken, type TokenAnswer, tokenRequest } from './token-requests.ts'

type Needs = Pick<LendNeeds, 'store' | 'audit' | 'clock' | 'vault'>
type Fields = Readonly<Record<string, Secret>>
/** `until` is endless while the token is being asked for: who comes then waits for the same answer. */
type Kept = { readonly token: Promise<Secret>; until: number }

/** However long a token lives, it is asked for anew after this, so that a change at the server is felt. */
const longestMs = 600_000
/** Before its end, so that it does not end on its way. */
const marginMs = 60_000

/**
 * Gets access tokens for stored secrets, outside of every sandbox. One is kept in memory for a few minutes and serves all
 * leases that lend the same secret in the same way.
 */
export function createMinting(needs: Needs) {
  const { audit, clock } = needs
  const kept = new Map<string, Kept>()

  async function mint(how: Minting, row: LeaseRow, fields: Fields, renamed: (next: Secret) => void) {
    const value = valueIn(fields, row)
    const answer = await ask(how, value, fields, clock.now())
    if (answer.refreshToken) {
      renamed(answer.refreshToken)
      await keepRefreshToken(needs, row, value, answer.refreshToken)
    }
    await audit.recordNow({
      type: 'lease.minted',
      outcome: 'done',
      actor: 'system:lend',
      target: `lease:${row.id}`,
      correlation: row.run_id ?? '',
      detail: { kind: how.kind, expiresAt: answer.expiresAt?.toISOString() ?? null },
    })
    return answer
  }

  const untilOf = ({ expiresAt }: TokenAnswer, now: number): number =>
    Math.min(expiresAt ? expiresAt.getTime() - marginMs : now + longestMs, now + longestMs)

  function begin(key: string, how: Minting, row: LeaseRow, fields: Fields): Kept {
    const nameOf = (value: Secret): string => keyOf(how, row, { ...fields, [row.field]: value })
    const minted = mint(how, row, fields, (next) => kept.set(nameOf(next), entry))
    const token = minted.then(
      (answer) => {
        entry.until = untilOf(answer, clock.now().getTime())
        return answer.token
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

  return async (how: Minting, row: LeaseRow, fields: Fields): Promise<Secret> => {
    const now = clock.now().getTime()
    for (const [key, { until }] of kept) if (until <= now) kept.delete(key)
    const key = keyOf(how, row, fields)
    return (kept.get(key) ?? begin(key, how, row, fields)).token
  }
}

/** A changed secret has another key, so that what was minted for the old one is not used any more. */
function keyOf(how: Minting, row: LeaseRow, fields: Fields): string {
  const hashes = Object.entries(fields).map(([name, value]) => [name, hashToken(value.reveal())])
  return JSON.stringify([row.secret_path, row.field, how, hashes.sort()])
}

function valueIn(fields: Fields, { field, secret_path }: LeaseRow): Secret {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (!value) throw new AppError('secret.not_found', `${secret_path} has no field ${field} any more.`)
  return value
}

async function ask(how: Minting, value: Secret, fields: Fields, now: Date): Promise<TokenAnswer> {
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
