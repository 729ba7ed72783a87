// Databases for worlds on a cluster that many tests share. To make one and to migrate it takes ten times as long as to empty one
// that another test has left, so those are used again.
import { createDatabase } from './postgres.ts'

/** Where this names a cluster, worlds that are not told of a database have one of their own on it. */
export const clusterVariable = 'KEYWARD_TEST_CLUSTER'

const emptied = new Map<string, string[]>()
const ofFolder = new Map<string, string>()

/**
 * Undefined where no cluster is named. `tables` says which tables the world will have: worlds that say the same may follow each other.
 * What is opened again in the same `folder` finds what it left there.
 */
export async function takeDatabase(tables: string, folder?: string): Promise<string | undefined> {
  const url = process.env[clusterVariable]
  if (url === undefined) return undefined
  if (folder === undefined) return emptied.get(tables)?.pop() ?? createDatabase({ url })
  const own = ofFolder.get(folder) ?? (await createDatabase({ url }))
  ofFolder.set(folder, own)
  return own
}

export async function leaveDatabase(tables: string, url: string): Promise<void> {
  const pg = await import('pg')
  const client = new pg.default.Client({ connectionString: url })
  await client.connect()
  await client.query(emptyAll)
  await client.end()
  emptied.set(tables, [...(emptied.get(tables) ?? []), url])
}

/** In any order, and so without what refers to what. */
const emptyAll = `set session_replication_role = replica;
do $$ declare name text; begin
  for name in select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
    and relname <> 'schema_migrations'
  loop execute format('delete from %I', name); end loop;
end $$`
