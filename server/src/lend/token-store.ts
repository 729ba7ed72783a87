import { type Reader, sql, type Tx } from '../store/index.ts'

/** An access token that was minted for leases. The token itself is kept encrypted, and only while it can be ended. */
export type TokenRow = {
  readonly id: string
  readonly secret_path: string
  readonly field: string
  /** The injection that it was minted for. */
  readonly how: string
  readonly revoke_url: string | null
  readonly probe_url: string | null
  readonly minted_at: number
  /** Null when its server did not say. */
  readonly expires_at: number | null
  /** From then on it is lent to nobody. */
  readonly ending_at: number | null
  /** What was last answered of its end. */
  readonly proof: string | null
}

const columns = sql`id, secret_path, field, how, revoke_url, probe_url, minted_at, expires_at, ending_at, proof`

export async function insertToken(tx: Tx, row: TokenRow): Promise<void> {
  await tx.run(sql`insert into lend_tokens (${columns}) values (${row.id}, ${row.secret_path}, ${row.field},
    ${row.how}, ${row.revoke_url}, ${row.probe_url}, ${row.minted_at}, ${row.expires_at}, ${row.ending_at}, ${row.proof})`)
}

/** Also keeps the row from being ended until the transaction is over. */
const lockLiveToken = async (tx: Tx, id: string): Promise<boolean> =>
  (await tx.run(sql`update lend_tokens set proof = proof where id = ${id} and ending_at is null`)) === 1

/** Lends the token to one more lease; false when it is being ended. */
export async function linkToken(tx: Tx, id: string, leaseId: string): Promise<boolean> {
  if (!(await lockLiveToken(tx, id))) return false
  await tx.run(sql`insert into lend_token_leases (token_id, lease_id) values (${id}, ${leaseId})
    on conflict (token_id, lease_id) do nothing`)
  return true
}

export const tokensOfLease = (reader: Reader, leaseId: string): Promise<TokenRow[]> =>
  reader.all(sql`select ${columns} from lend_tokens
    where id in (select token_id from lend_token_leases where lease_id = ${leaseId}) order by id`)

/** Takes the token from everybody, unless another lease that it serves is in force: then that one's id. */
export async function beginTokenEnd(tx: Tx, id: string, now: number): Promise<string | undefined> {
  await lockLiveToken(tx, id)
  const other = await tx.get<{ id: string }>(sql`select id from leases where state = 'active' and id in
    (select lease_id from lend_token_leases where token_id = ${id}) order by id limit 1`)
  if (other) return other.id
  await tx.run(sql`update lend_tokens set ending_at = ${now} where id = ${id} and ending_at is null`)
  return undefined
}

export async function keepTokenProof(tx: Tx, id: string, proof: string): Promise<void> {
  await tx.run(sql`update lend_tokens set proof = ${proof} where id = ${id}`)
}
