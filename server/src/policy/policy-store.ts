import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const policyMigrations: readonly Migration[] = [
  {
    id: '0025-custom-policies',
    up: ({ int8 }) => [
      `create table custom_policies (
        name text not null, version ${int8} not null, text text, compiled text, schema_digest text not null,
        written_by text not null, written_at ${int8} not null, primary key (name, version))`,
    ],
  },
]

/** One version of a file; `text` and `compiled` are null in the version that removed it. */
export type PolicyRow = {
  name: string
  version: number
  text: string | null
  compiled: string | null
  schema_digest: string
  written_by: string
  written_at: number
}

const columns = sql`name, version, text, compiled, schema_digest, written_by, written_at`

export async function insertVersion(tx: Tx, row: PolicyRow): Promise<void> {
  await tx.run(sql`insert into custom_policies (${columns}) values (${row.name}, ${row.version}, ${row.text},
    ${row.compiled}, ${row.schema_digest}, ${row.written_by}, ${row.written_at})`)
}

/** The newest version of each file, by name. */
export const newestVersions = (reader: Reader): Promise<PolicyRow[]> =>
  reader.all(sql`select ${columns} from custom_policies p
    where version = (select max(version) from custom_policies q where q.name = p.name) order by name`)

/** Newest first. */
export const versionsOf = (reader: Reader, name: string): Promise<PolicyRow[]> =>
  reader.all(sql`select ${columns} from custom_policies where name = ${name} order by version desc`)
