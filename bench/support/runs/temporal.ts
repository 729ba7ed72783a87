// Temporal: a server on a file, as the tests build it with Go, and a worker of its SDK.
//   node temporal.ts <rounds>

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { goProgram } from '../../../server/test/support/go.ts'
import { print } from '../figures.ts'
import { ended } from '../servers.ts'
import { approver } from './peers.ts'
import { atOnce, type Carrier, type Effect, measure } from './workload.ts'

const [rounds = '3'] = process.argv.slice(2)
const namespace = 'keyward-bench'
const taskQueue = 'bench'
/** The packages are those of the server. */
const fromServer = createRequire(new URL('../../../server/package.json', import.meta.url))

async function startServer() {
  const place = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  const program = await goProgram('temporal-server')
  const server = spawn(program, [join(place, 'temporal.db'), namespace, '0'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  for await (const line of createInterface(server.stdout))
    if (line.startsWith('ready '))
      return {
        address: line.slice('ready '.length),
        async stop() {
          await ended(server)
          rmSync(place, { recursive: true, force: true })
        },
      }
  throw new Error('the server of Temporal ended before it was ready')
}

async function open(effect: Effect): Promise<Carrier> {
  const { NativeConnection, Runtime, Worker, DefaultLogger } = await import(
    fromServer.resolve('@temporalio/worker')
  )
  const { Client, Connection } = await import(fromServer.resolve('@temporalio/client'))
  const server = await startServer()
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const client = new Client({ connection: await Connection.connect({ address: server.address }), namespace })
  const connection = await NativeConnection.connect({ address: server.address })
  const ask = approver((run) => client.workflow.getHandle(run).signal('approved'))
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowsPath: join(import.meta.dirname, 'temporal-workflow.ts'),
    activities: {
      effect: async (...given: Parameters<Effect>) => effect(...given),
      ask: async (run: string) => ask(run),
    },
    maxConcurrentActivityTaskExecutions: atOnce,
    maxConcurrentWorkflowTaskExecutions: atOnce,
  })
  const over = worker.run()
  return {
    carry: (run) => client.workflow.execute('bench', { taskQueue, workflowId: run }),
    async stop() {
      worker.shutdown()
      await over
      await connection.close()
      await server.stop()
    },
  }
}

print(await measure(open, Number(rounds)))
process.exit()
