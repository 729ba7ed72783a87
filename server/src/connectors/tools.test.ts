import type { TestContext } from 'node:test'
import type { Json } from '@keyward/contract'
import { quietSuite } from '../../test/support/connector-suite.ts'
import { openConnectorWorld, secretPath } from '../../test/support/connector-world.ts'
import { temporaryFolder } from '../../test/support/world.ts'
import { AppError } from '../core/index.ts'
import type { Connector } from './connector.ts'
import { pulumi } from './pulumi/pulumi.ts'
import { terraform } from './terraform/terraform.ts'

const artifact = { id: 'art_1', digest: '0'.repeat(64), sizeBytes: 1 }
const saved = { artifact, planSha256: '0'.repeat(64) }
const applied = { ...saved, serial: 1, lineage: 'a' }

/** Where every program that would run is counted, and none does. What they do is tried with real ones, in sandboxes. */
function counted(
  connector: Connector,
  more: { [name: string]: Json },
  inputs: { [name: string]: { [name: string]: Json } },
) {
  return async (t: TestContext) => {
    let runs = 0
    const sandboxed = {
      async run(): Promise<never> {
        runs++
        throw new AppError('sandbox.unavailable', 'no program runs in this test')
      },
      ended: async () => undefined,
    }
    const world = await openConnectorWorld(t, [connector], { sandboxed })
    world.secrets.set(secretPath, { password: 'of the test' })
    const settings = { folder: temporaryFolder(t), program: process.execPath, ...more }
    await world.connect({ connector: connector.name, settings })
    return { world, inputs, asked: () => runs }
  }
}

quietSuite(
  terraform,
  counted(terraform, {}, { 'terraform.plan': {}, 'terraform.apply': applied, 'terraform.destroy': applied }),
)
quietSuite(
  pulumi,
  counted(
    pulumi,
    { stack: 'acme/shop/test' },
    {
      'pulumi.preview': {},
      'pulumi.up': { ...saved, version: 1 },
      'pulumi.destroy': { version: 1 },
      'pulumi.refresh': { version: 1 },
      'pulumi.outputs': {},
      'pulumi.cancel': {},
    },
  ),
)
