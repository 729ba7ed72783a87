import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const imagesMigrations: readonly Migration[] = [
  {
    id: '0140-sandbox-images',
    up: ({ int8 }) => [
      `create table sandbox_images (
        name text not null primary key, digest text not null, archive_digest text not null, source text not null,
        size_bytes ${int8} not null, files ${int8} not null, left_out ${int8} not null, environment text not null,
        added_by text not null, added_at ${int8} not null)`,
    ],
  },
  {
    id: '0141-agent-images',
    up: () => [
      `create table agent_images (
        agent_id text not null primary key, image text not null references sandbox_images (name))`,
      'create index agent_images_image on agent_images (image)',
    ],
  },
]

export type ImageRow = {
  name: string
  /** Of the tree. */
  digest: string
  archive_digest: string
  /** The name of the archive, in words. */
  source: string
  size_bytes: number
  files: number
  left_out: number
  /** JSON: what its maker wants set. */
  environment: string
  /** Actor. */
  added_by: string
  added_at: number
}

const columns = sql`name, digest, archive_digest, source, size_bytes, files, left_out, environment, added_by, added_at`

export async function insertImage(tx: Tx, row: ImageRow): Promise<void> {
  await tx.run(sql`insert into sandbox_images (${columns}) values (${row.name}, ${row.digest}, ${row.archive_digest},
    ${row.source}, ${row.size_bytes}, ${row.files}, ${row.left_out}, ${row.environment}, ${row.added_by}, ${row.added_at})`)
}

export const imageByName = (reader: Reader, name: string): Promise<ImageRow | undefined> =>
  reader.get(sql`select ${columns} from sandbox_images where name = ${name}`)

export const allImages = (reader: Reader): Promise<ImageRow[]> =>
  reader.all(sql`select ${columns} from sandbox_images order by name`)

/** Undefined when there was none. */
export const deleteImage = (tx: Tx, name: string): Promise<ImageRow | undefined> =>
  tx.get(sql`delete from sandbox_images where name = ${name} returning ${columns}`)

/** In which image the commands of an agent run; undefined for the machine's own files. */
export async function imageOfAgent(reader: Reader, agentId: string): Promise<string | undefined> {
  const row = await reader.get<{ image: string }>(
    sql`select image from agent_images where agent_id = ${agentId}`,
  )
  return row?.image
}

export async function agentsOfImage(reader: Reader, name: string): Promise<string[]> {
  const rows = await reader.all<{ agent_id: string }>(
    sql`select agent_id from agent_images where image = ${name} order by agent_id`,
  )
  return rows.map(({ agent_id }) => agent_id)
}

export async function putImageOfAgent(tx: Tx, agentId: string, image: string | null): Promise<void> {
  await tx.run(sql`delete from agent_images where agent_id = ${agentId}`)
  if (image !== null)
    await tx.run(sql`insert into agent_images (agent_id, image) values (${agentId}, ${image})`)
}
