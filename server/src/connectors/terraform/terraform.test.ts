import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Json } from '@keyward/contract'
import { type OpenedService, workingSuite } from '../../../test/support/connector-suite.ts'
import { openConnectorWorld, secretPath } from '../../../test/support/connector-world.ts'
import { createDraws } from '../../../test/support/draws.ts'
import { createLocalCommands } from '../../../test/support/local-commands.ts'
import { temporaryFolder } from '../../../test/support/world.ts'
import { terraform } from './terraform.ts'

const draws = createDraws('terraform')

/** A state that was applied once, and a change and a destroy of it that were planned. */
workingSuite(terraform, async (t: TestContext): Promise<OpenedService> => {
  const [password, hidden] = [draws.text(30), draws.text(30)]
  const [folder, root] = [temporaryFolder(t), temporaryFolder(t)]
  const stateFile = join(root, 'state.json')
  const resourcesWith = (shop: string) => ({ shop, hidden: `!${hidden}` })
  writeFileSync(stateFile, JSON.stringify({ serial: 1, lineage: 'one', resources: resourcesWith('before') }))
  writeFileSync(join(folder, 'resources.json'), JSON.stringify(resourcesWith('after')))
  const local = createLocalCommands(root, () => password)
  const world = await openConnectorWorld(t, [terraform], { sandboxed: local.sandboxed })
  world.secrets.set(secretPath, { password })
  await world.connect({
    connector: 'terraform',
    settings: {
      folder,
      program: join(import.meta.dirname, '../../../test/support/terraform-stand-in.mjs'),
      environment: { STATE_FILE: stateFile },
      secrets: [
        { field: 'password', variable: 'TF_HTTP_PASSWORD', destinations: [{ host: 'x.test', port: 443 }] },
      ],
    },
  })
  async function planned(more: { [name: string]: Json } = {}): Promise<{ [name: string]: Json }> {
    const output = await world.execute('terraform.plan', { connection: 'main', ...more })
    const { artifact, planSha256, serial, lineage } = Object(output)
    return { artifact, planSha256, serial, lineage }
  }
  return {
    world,
    inputs: {
      'terraform.plan': {},
      'terraform.apply': await planned(),
      'terraform.destroy': await planned({ destroy: true }),
    },
    asked: local.runs,
    state: () => JSON.parse(readFileSync(stateFile, 'utf8')),
    secretValues: () => [password, hidden],
  }
})
