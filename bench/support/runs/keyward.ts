// Keyward's embedded host, in a process that keeps its memory small as the server does.
//   node keyward.ts <folder> <rounds>
import { holdYoungGeneration, releaseMemory } from '../../../server/src/core/index.ts'
import { print } from '../figures.ts'
import { type Embedded, openEmbedded } from './embedded.ts'
import { type Effect, measure } from './workload.ts'

const [dataDir = '', rounds = '3'] = process.argv.slice(2)

async function open(effect: Effect): Promise<Embedded> {
  const embedded = await openEmbedded(dataDir, effect)
  await releaseMemory()
  holdYoungGeneration()
  return embedded
}

print(await measure(open, Number(rounds)))
