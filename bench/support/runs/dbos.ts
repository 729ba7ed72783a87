// DBOS on a PostgreSQL of its own.
//   node dbos.ts <folder of the peers> <rounds>
import { print } from '../figures.ts'
import { aPostgres, approver, peer } from './peers.ts'
import { carried, type StepId } from './steps.ts'
import { type Carrier, type Effect, measure } from './workload.ts'

const [folder = '', rounds = '3'] = process.argv.slice(2)

async function open(effect: Effect): Promise<Carrier> {
  const { DBOS } = await peer(folder, '@dbos-inc/dbos-sdk/dist/src/index.js')
  const postgres = await aPostgres()
  const ask = approver((run) => DBOS.send(run, 'yes', 'approval'))
  const workflow = DBOS.registerWorkflow(
    (run: string) =>
      carried({
        task: (id: StepId) => DBOS.runStep(async () => effect(run, id), { name: id }),
        async approval() {
          ask(run)
          if ((await DBOS.recv('approval', 600)) !== 'yes') throw new Error('not approved')
        },
      }),
    { name: 'bench' },
  )
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: postgres.url,
    systemDatabasePoolSize: 20,
    logLevel: 'error',
  })
  await DBOS.launch()
  return {
    carry: async (run) => (await DBOS.startWorkflow(workflow, { workflowID: run })(run)).getResult(),
    async stop() {
      await DBOS.shutdown()
      await postgres.stop()
    },
  }
}

print(await measure(open, Number(rounds)))
process.exit()
