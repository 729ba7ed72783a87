// The tests of the domains of durable work once more, with PostgreSQL in the place of the embedded database: one cluster, and a
// database for each world.
import { after, test } from 'node:test'
import { postgresBinaries, startPostgres } from './support/postgres.ts'
import { clusterVariable } from './support/world-databases.ts'

const files = [
  '../src/approvals/changing.test.ts',
  '../src/approvals/drift.test.ts',
  '../src/approvals/quorum.test.ts',
  '../src/approvals/rights.test.ts',
  '../src/artifacts/artifacts.test.ts',
  '../src/catalogue/catalogue.test.ts',
  '../src/channels/channels.test.ts',
  '../src/connectors/connectors.test.ts',
  '../src/goals/goals.test.ts',
  '../src/rollout/rollout.test.ts',
  '../src/schedules/run-schedules.test.ts',
  './plan-features.test.ts',
]

if (postgresBinaries()) {
  // The tests of the store are those that ask what a power cut takes.
  const words = ['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'autovacuum=off']
  const cluster = await startPostgres({ after }, async () => ({ port: 5432, words }))
  process.env[clusterVariable] = cluster.url
  for (const file of files) await import(file)
} else test('OPS-1: the domains of durable work on PostgreSQL', { skip: 'PostgreSQL is not installed' })
