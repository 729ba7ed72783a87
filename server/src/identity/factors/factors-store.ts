import { type Migration, type Reader, sql, type Tx } from '../../store/index.ts'

export const factorsMigration: Migration = {
  id: '0022-second-factors',
  up: ({ int8 }) => [
    `create table second_factors (
      id text primary key, person_id text not null references people (id), kind text not null, name text not null,
      created_at ${int8} not null, confirmed_at ${int8}, last_used_at ${int8}, last_step ${int8}, credential text)`,
    'create index second_factors_person on second_factors (person_id)',
    'create unique index second_factors_credential on second_factors (credential)',
    `create table recovery_codes (
      hash text primary key, person_id text not null references people (id), used_at ${int8})`,
    'create index recovery_codes_person on recovery_codes (person_id)',
    `create table factor_challenges (
      hash text primary key, person_id text not null references people (id), purpose text not null,
      expires_at ${int8} not null)`,
    `create table factor_attempts (
      person_id text primary key references people (id), failures integer not null, last_at ${int8} not null)`,
    `alter table sessions add column second_factor_at ${int8}`,
    `alter table sessions add column recovered_at ${int8}`,
  ],
}

/** What is not secret of a factor; the rest is in the sealed storage. */
export type FactorRow = {
  id: string
  person_id: string
  kind: 'totp' | 'key'
  name: string
  created_at: number
  /** Null until its owner has shown it once. */
  confirmed_at: number | null
  last_used_at: number | null
  /** The step of time of the last code; the ones before it count no more. */
  last_step: number | null
  /** A security key's name for itself. */
  credential: string | null
}

const columns = sql`id, person_id, kind, name, created_at, confirmed_at, last_used_at, last_step, credential`

/** Also forgets what was begun and never shown. */
export async function insertFactor(
  tx: Tx,
  row: Pick<FactorRow, 'id' | 'person_id' | 'kind' | 'name' | 'created_at'>,
  staleBefore: number,
): Promise<void> {
  await tx.run(sql`delete from second_factors where confirmed_at is null and created_at < ${staleBefore}`)
  await tx.run(sql`insert into second_factors (id, person_id, kind, name, created_at)
    values (${row.id}, ${row.person_id}, ${row.kind}, ${row.name}, ${row.created_at})`)
}

export const factorById = (reader: Reader, personId: string, id: string): Promise<FactorRow | undefined> =>
  reader.get(sql`select ${columns} from second_factors where id = ${id} and person_id = ${personId}`)

export const factorsOf = (reader: Reader, personId: string): Promise<FactorRow[]> =>
  reader.all(sql`select ${columns} from second_factors
    where person_id = ${personId} and confirmed_at is not null order by id`)

/** False when it was confirmed before. */
export async function confirmFactor(
  tx: Tx,
  id: string,
  set: { at: number; step: number | null; credential: string | null },
): Promise<boolean> {
  const count = await tx.run(sql`update second_factors set confirmed_at = ${set.at}, last_step = ${set.step},
      credential = ${set.credential} where id = ${id} and confirmed_at is null`)
  return count === 1
}

/** False when this step, or a later one, was used before. */
export async function useStep(tx: Tx, id: string, step: number, at: number): Promise<boolean> {
  const count = await tx.run(sql`update second_factors set last_step = ${step}, last_used_at = ${at}
    where id = ${id} and (last_step is null or last_step < ${step})`)
  return count === 1
}

export async function noteUse(tx: Tx, id: string, at: number): Promise<void> {
  await tx.run(sql`update second_factors set last_used_at = ${at} where id = ${id}`)
}

export async function deleteFactor(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from second_factors where id = ${id}`)
}

export async function replaceRecoveryCodes(
  tx: Tx,
  personId: string,
  hashes: readonly string[],
): Promise<void> {
  await tx.run(sql`delete from recovery_codes where person_id = ${personId}`)
  for (const hash of hashes)
    await tx.run(sql`insert into recovery_codes (hash, person_id) values (${hash}, ${personId})`)
}

/** False when it is none of theirs, or was used before. */
export async function useRecoveryCode(tx: Tx, personId: string, hash: string, at: number): Promise<boolean> {
  const count = await tx.run(sql`update recovery_codes set used_at = ${at}
    where hash = ${hash} and person_id = ${personId} and used_at is null`)
  return count === 1
}

export async function countRecoveryCodes(reader: Reader, personId: string): Promise<number> {
  const row = await reader.get<{ n: number }>(
    sql`select count(*) as n from recovery_codes where person_id = ${personId} and used_at is null`,
  )
  return Number(row?.n ?? 0)
}

type Challenge = { readonly hash: string; readonly personId: string; readonly purpose: string }

export async function insertChallenge(tx: Tx, c: Challenge, now: number, expiresAt: number): Promise<void> {
  await tx.run(sql`delete from factor_challenges where expires_at < ${now}`)
  await tx.run(sql`insert into factor_challenges (hash, person_id, purpose, expires_at)
    values (${c.hash}, ${c.personId}, ${c.purpose}, ${expiresAt})`)
}

/** False when it is unknown, used, too old, or was given for something else. */
export async function takeChallenge(tx: Tx, c: Challenge, now: number): Promise<boolean> {
  const count = await tx.run(sql`delete from factor_challenges where hash = ${c.hash}
    and person_id = ${c.personId} and purpose = ${c.purpose} and expires_at > ${now}`)
  return count === 1
}

export const attemptsOf = (
  reader: Reader,
  personId: string,
): Promise<{ failures: number; last_at: number } | undefined> =>
  reader.get(sql`select failures, last_at from factor_attempts where person_id = ${personId}`)

export async function writeAttempts(tx: Tx, personId: string, failures: number, at: number): Promise<void> {
  await tx.run(sql`insert into factor_attempts (person_id, failures, last_at) values (${personId}, ${failures}, ${at})
    on conflict (person_id) do update set failures = excluded.failures, last_at = excluded.last_at`)
}

export async function markSession(
  tx: Tx,
  hash: string,
  what: 'second_factor' | 'recovered',
  at: number,
): Promise<boolean> {
  const change = what === 'second_factor' ? sql`second_factor_at = ${at}` : sql`recovered_at = ${at}`
  return (await tx.run(sql`update sessions set ${change} where hash = ${hash} and ended_at is null`)) === 1
}
