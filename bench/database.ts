/**
 * Database credentials a second: `keyward server --dev` and `bao server` with raft storage, on the same PostgreSQL, with fsync on
 * everywhere, the same role, the same client, in rounds that take turns after one round to warm up. The median counts.
 *
 *   node bench/database.ts [seconds] [connections,…] [rounds]   (Node 24)
 *
 * Both answer when their lease is on their own disk and the role on PostgreSQL's. Keyward has its lease on disk before the role is
 * made, too. PostgreSQL itself spends about 3 ms of processor time on the password of each role.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findBao } from '../server/test/support/bao.ts'
import { postgresBinaries } from '../server/test/support/postgres.ts'
import { startPostgresAccounts } from '../server/test/support/postgres-accounts.ts'
import { circumstances, print } from './support/figures.ts'
import { hasWrk } from './support/http-load.ts'
import { compareInTurns, connectionsInWords, type Measured, measureLoad } from './support/rounds.ts'
import {
  call,
  openWorkbench,
  packageLauncher,
  startBao,
  startKeyward,
  type Target,
} from './support/servers.ts'

const seconds = Number(process.argv[2] ?? 5)
const connectionCounts = (process.argv[3] ?? '1,16').split(',').map(Number)
const rounds = Number(process.argv[4] ?? 3)
const bench = openWorkbench()
const wrk = hasWrk()
const ends: (() => unknown)[] = []

/** Each server has a table of its own: PostgreSQL refuses two who change the rights on one at the same time. */
const creation = (table: string): string[] => [
  `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
  `GRANT SELECT ON ${table} TO "{{name}}"`,
]

async function prepare(
  target: Target,
  { connectionUrl, username, password, query }: Awaited<ReturnType<typeof startPostgresAccounts>>,
): Promise<Target> {
  const table = `bench_${target.name}`
  await query(`create table ${table} (id int)`)
  const ask = async (path: string, body: unknown): Promise<void> => {
    const reply = await call(target.port, 'POST', path, target.token, body)
    if (!reply.ok) throw new Error(`${target.name} ${path}: ${await reply.text()}`)
  }
  await ask('sys/mounts/database', { type: 'database' })
  await ask('database/config/bench', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: connectionUrl,
    username,
    password,
  })
  await ask('database/roles/bench', {
    db_name: 'bench',
    creation_statements: creation(table),
    default_ttl: '1h',
  })
  return target
}

/** The rights on a table get slower with each role that has some: every round begins without any. */
const withoutRoles = `do $$ declare made text; begin
  for made in select rolname from pg_roles where rolname like 'v-%' loop
    execute format('drop owned by %I', made); execute format('drop role %I', made);
  end loop; end $$`

/** The client breaks off at the end of a round; what the server had begun it finishes first. */
async function settled(clean: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await sleep(500)
      await clean()
      return
    } catch (error) {
      if (attempt === 10) throw error
    }
}

async function measure(
  target: Target,
  connections: number,
  clean: () => Promise<unknown>,
): Promise<Measured> {
  const load = { connections, seconds, path: '/v1/database/creds/bench' }
  const measured = await measureLoad(target, load, { wrk, folder: bench.folder })
  await settled(clean)
  return measured
}

if (!postgresBinaries()) {
  print({ ...circumstances(), missing: 'PostgreSQL is not installed' })
  process.exit()
}
try {
  const postgres = await startPostgresAccounts({ after: (end) => void ends.push(end as () => unknown) })
  const data = join(bench.folder, `keyward-${randomBytes(4).toString('hex')}`)
  const launcher = process.env['KEYWARD_BENCH_LAUNCHER'] ?? packageLauncher(bench)
  const ours = await startKeyward(bench, 'keyward', { launcher, data })
  const bao = await findBao()
  const theirs = 'path' in bao ? [await startBao(bench, bao.path)] : []
  const targets: Target[] = []
  for (const target of [ours, ...theirs]) targets.push(await prepare(target, postgres))
  const compared: Record<string, unknown> = {}
  for (const connections of connectionCounts)
    compared[connectionsInWords(connections)] = await compareInTurns(targets, rounds, (target) =>
      measure(target, connections, () => postgres.query(withoutRoles)),
    )
  print({
    ...circumstances(),
    client: wrk ? 'wrk' : 'a small Node client',
    seconds,
    rounds,
    ...('missing' in bao ? { openbao: bao.missing } : {}),
    ...compared,
  })
} finally {
  await bench.end()
  for (const end of ends) await end()
}
