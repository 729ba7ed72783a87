import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const accountTables: Migration['up'] = ({ int8 }) => [
  `create table channel_accounts (
    id text not null primary key, kind text not null, workspace text not null, account text not null, person_id text not null,
    linked_at ${int8} not null, unique (kind, workspace, account))`,
  `create table channel_link_codes (hash text not null primary key, person_id text not null, expires_at ${int8} not null)`,
  `create table channel_nonces (nonce text not null primary key, at ${int8} not null)`,
]

/** Who somebody is in a chat, as the service numbers them. */
export type ChatAccount = {
  readonly kind: 'slack' | 'teams'
  readonly workspace: string
  readonly account: string
}

export type AccountRow = ChatAccount & {
  readonly id: string
  readonly person_id: string
  readonly linked_at: number
}

export const readAccounts = (reader: Reader): Promise<AccountRow[]> =>
  reader.all<AccountRow>(sql`select * from channel_accounts order by linked_at, id`)

export const readAccount = (reader: Reader, id: string): Promise<AccountRow | undefined> =>
  reader.get<AccountRow>(sql`select * from channel_accounts where id = ${id}`)

export const findAccount = (reader: Reader, who: ChatAccount): Promise<AccountRow | undefined> =>
  reader.get<AccountRow>(sql`select * from channel_accounts where kind = ${who.kind} and workspace = ${who.workspace}
    and account = ${who.account}`)

/** A link that was there goes over to the new person. */
export async function putAccount(tx: Tx, row: AccountRow): Promise<void> {
  await tx.run(
    sql`delete from channel_accounts where kind = ${row.kind} and workspace = ${row.workspace} and account = ${row.account}`,
  )
  await tx.run(sql`insert into channel_accounts (id, kind, workspace, account, person_id, linked_at)
    values (${row.id}, ${row.kind}, ${row.workspace}, ${row.account}, ${row.person_id}, ${row.linked_at})`)
}

export async function deleteAccount(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from channel_accounts where id = ${id}`)
}

/** A person has one code at a time. */
export async function putCode(
  tx: Tx,
  code: { hash: string; personId: string; expiresAt: number },
): Promise<void> {
  await tx.run(sql`delete from channel_link_codes where person_id = ${code.personId}`)
  await tx.run(sql`insert into channel_link_codes (hash, person_id, expires_at)
    values (${code.hash}, ${code.personId}, ${code.expiresAt})`)
}

/** Uses it up; undefined when it is wrong, used or too old. */
export async function takeCode(tx: Tx, hash: string, now: number): Promise<string | undefined> {
  await tx.run(sql`delete from channel_link_codes where expires_at <= ${now}`)
  const [taken] = await tx.all<{ person_id: string }>(
    sql`delete from channel_link_codes where hash = ${hash} returning person_id`,
  )
  return taken?.person_id
}

/** False when it was there: the request has been delivered before. */
export async function insertNonce(tx: Tx, nonce: string, at: number): Promise<boolean> {
  const count = await tx.run(
    sql`insert into channel_nonces (nonce, at) values (${nonce}, ${at}) on conflict (nonce) do nothing`,
  )
  return count === 1
}

export async function deleteNoncesBefore(tx: Tx, at: number): Promise<void> {
  await tx.run(sql`delete from channel_nonces where at < ${at}`)
}
