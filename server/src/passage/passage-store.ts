import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const passageMigrations: readonly Migration[] = [
  {
    id: '0085-passages',
    up: ({ int8 }) => [
      `create table passages (
        id text not null primary key, agent_id text not null, opened_by text not null, command text not null,
        opened_at ${int8} not null, ended_at ${int8}, end_reason text)`,
      'create index passages_agent on passages (agent_id, id)',
      'create table passage_agents (opened_by text not null primary key, agent_id text not null)',
    ],
  },
]

export type PassageRow = {
  id: string
  agent_id: string
  /** Actor. */
  opened_by: string
  command: string
  opened_at: number
  ended_at: number | null
  end_reason: string | null
}

const columns = sql`id, agent_id, opened_by, command, opened_at, ended_at, end_reason`

export async function insertPassage(tx: Tx, row: PassageRow): Promise<void> {
  await tx.run(sql`insert into passages (${columns}) values (${row.id}, ${row.agent_id}, ${row.opened_by},
    ${row.command}, ${row.opened_at}, ${row.ended_at}, ${row.end_reason})`)
}

export const passageById = (reader: Reader, id: string): Promise<PassageRow | undefined> =>
  reader.get(sql`select ${columns} from passages where id = ${id}`)

/** Undefined when it had ended, or never was. */
export const endPassageRow = (
  tx: Tx,
  id: string,
  at: number,
  reason: string,
): Promise<PassageRow | undefined> =>
  tx.get(sql`update passages set ended_at = ${at}, end_reason = ${reason}
    where id = ${id} and ended_at is null returning ${columns}`)

export const openPassages = (reader: Reader): Promise<PassageRow[]> =>
  reader.all(sql`select ${columns} from passages where ended_at is null order by id`)

export type PassageQuery = {
  readonly cursor?: string | undefined
  readonly limit: number
  readonly agentId?: string | undefined
}

/** Newest first. */
export function passagesBefore(
  reader: Reader,
  { cursor, limit, agentId }: PassageQuery,
): Promise<PassageRow[]> {
  const agent = agentId === undefined ? { text: '', values: [] } : sql` and agent_id = ${agentId}`
  return reader.all(sql`select ${columns} from passages
    where id < ${cursor ?? '~'}${agent} order by id desc limit ${limit}`)
}

export async function agentFor(reader: Reader, openedBy: string): Promise<string | undefined> {
  const row = await reader.get<{ agent_id: string }>(
    sql`select agent_id from passage_agents where opened_by = ${openedBy}`,
  )
  return row?.agent_id
}

export async function keepAgentFor(tx: Tx, openedBy: string, agentId: string): Promise<void> {
  await tx.run(sql`insert into passage_agents (opened_by, agent_id) values (${openedBy}, ${agentId})`)
}
