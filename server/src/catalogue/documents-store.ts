import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const catalogueMigrations: readonly Migration[] = [
  {
    id: '0062-flow-documents',
    up: ({ int8 }) => [
      `create table flow_documents (
        name text not null, version ${int8} not null, text text not null, saved_by text not null, saved_at ${int8} not null,
        removed_at ${int8}, primary key (name, version))`,
    ],
  },
]

export type DocumentRow = {
  readonly name: string
  readonly version: number
  readonly text: string
  readonly saved_by: string
  readonly saved_at: number
}

const columns = sql`name, version, text, saved_by, saved_at`
const isNewest = sql`version = (select max(version) from flow_documents newer where newer.name = flow_documents.name)`

/** The newest version of each, without those that were removed. */
export const readDocuments = (reader: Reader): Promise<DocumentRow[]> =>
  reader.all(
    sql`select ${columns} from flow_documents where removed_at is null and ${isNewest} order by name`,
  )

/** Of this name, whether it was removed or not: versions are never used twice. */
export async function newestVersion(reader: Reader, name: string): Promise<number> {
  const row = await reader.get<{ version: number | null }>(
    sql`select max(version) as version from flow_documents where name = ${name}`,
  )
  return Number(row?.version ?? 0)
}

export async function insertDocument(tx: Tx, row: DocumentRow): Promise<void> {
  await tx.run(sql`insert into flow_documents (name, version, text, saved_by, saved_at)
    values (${row.name}, ${row.version}, ${row.text}, ${row.saved_by}, ${row.saved_at})`)
}

export async function removeDocument(tx: Tx, name: string, at: number): Promise<boolean> {
  return (
    (await tx.run(
      sql`update flow_documents set removed_at = ${at} where name = ${name} and removed_at is null`,
    )) > 0
  )
}
