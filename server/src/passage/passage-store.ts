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
  {
    id: '0086-agent-certificates',
    up: ({ int8 }) => [
      `create table agent_certificates (
        id text not null primary key, agent_id text not null, fingerprint text not null unique, issued_by text not null,
        issued_at ${int8} not null, expires_at ${int8} not null, last_seen_at ${int8}, revoked_at ${int8},
        revoke_reason text)`,
      'create index agent_certificates_agent on agent_certificates (agent_id, id)',
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

// ── Certificates ─────────────────────────────────────────────────────────────────────────────────────────────────

export type CertificateRow = {
  id: string
  agent_id: string
  fingerprint: string
  /** Actor. */
  issued_by: string
  issued_at: number
  expires_at: number
  last_seen_at: number | null
  revoked_at: number | null
  revoke_reason: string | null
}

const certificateColumns = sql`id, agent_id, fingerprint, issued_by, issued_at, expires_at, last_seen_at, revoked_at,
  revoke_reason`

export async function insertCertificate(tx: Tx, row: CertificateRow): Promise<void> {
  await tx.run(sql`insert into agent_certificates (${certificateColumns}) values (${row.id}, ${row.agent_id},
    ${row.fingerprint}, ${row.issued_by}, ${row.issued_at}, ${row.expires_at}, ${row.last_seen_at}, ${row.revoked_at},
    ${row.revoke_reason})`)
}

export const certificateById = (reader: Reader, id: string): Promise<CertificateRow | undefined> =>
  reader.get(sql`select ${certificateColumns} from agent_certificates where id = ${id}`)

export const certificateBy = (reader: Reader, fingerprint: string): Promise<CertificateRow | undefined> =>
  reader.get(sql`select ${certificateColumns} from agent_certificates where fingerprint = ${fingerprint}`)

/** Undefined when it was revoked before, or never was. */
export const revokeCertificateRow = (
  tx: Tx,
  id: string,
  at: number,
  reason: string,
): Promise<CertificateRow | undefined> =>
  tx.get(sql`update agent_certificates set revoked_at = ${at}, revoke_reason = ${reason}
    where id = ${id} and revoked_at is null returning ${certificateColumns}`)

export async function touchCertificate(tx: Tx, id: string, at: number): Promise<void> {
  await tx.run(sql`update agent_certificates set last_seen_at = ${at} where id = ${id}`)
}

/** Newest first. */
export const certificatesBefore = (
  reader: Reader,
  agentId: string,
  { cursor, limit }: Pick<PassageQuery, 'cursor' | 'limit'>,
): Promise<CertificateRow[]> =>
  reader.all(sql`select ${certificateColumns} from agent_certificates
    where agent_id = ${agentId} and id < ${cursor ?? '~'} order by id desc limit ${limit}`)
