// Keyward's embedded host.
//   node keyward.ts <folder> <rounds>
import { print } from '../figures.ts'
import { openEmbedded } from './embedded.ts'
import { measure } from './workload.ts'

const [dataDir = '', rounds = '3'] = process.argv.slice(2)

print(await measure((effect) => openEmbedded(dataDir, effect), Number(rounds)))
