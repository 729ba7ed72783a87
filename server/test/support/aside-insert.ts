// A job for the thread of the database: stores things, and fails when it is told to.
import { AppError } from '../../src/core/index.ts'
import { sql, type Tx } from '../../src/store/index.ts'

export async function job(
  tx: Pick<Tx, 'all' | 'get' | 'run'>,
  { ids, fails, ends }: { ids: readonly string[]; fails?: 'known' | 'unknown'; ends?: boolean },
): Promise<number> {
  for (const id of ids) await tx.run(sql`insert into things (id) values (${id})`)
  if (ends) process.exit(1)
  if (fails === 'known') throw new AppError('request.conflict', 'so it was asked')
  if (fails === 'unknown') throw new Error('nobody expected this')
  return (await tx.get<{ n: number }>(sql`select count(*) as n from things`))?.n ?? 0
}
