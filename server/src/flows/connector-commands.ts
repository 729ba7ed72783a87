import type { SandboxedForConnectors } from '../connectors/index.ts'
import { AppError, systemPrincipal } from '../core/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Store } from '../store/index.ts'
import type { LentCommand, SandboxedCommands } from './sandboxed-commands.ts'

type Needs = {
  store: Pick<Store, 'write'>
  identity: Pick<Identity, 'agentNamed' | 'registerAgent'>
  commands: SandboxedCommands
}

const name = 'keyward-connectors'

/**
 * Programs of connectors borrow in the name of an agent of Keyward's own, made for the first of them. Its key is thrown away; who
 * quarantines it ends them all.
 */
export function createConnectorCommands({ store, identity, commands }: Needs): SandboxedForConnectors {
  const agentId = (): Promise<string> =>
    store.write(async (tx) => {
      const found = await identity.agentNamed(name, tx)
      if (found) return found.id
      const description = 'Runs the programs of connected services'
      const { agent } = await identity.registerAgent(tx, { name, description, owner: systemPrincipal('run') })
      return agent.id
    })

  return {
    async run(about, command) {
      const run = commands.runnerOf({ ...about, agentId: await agentId() })
      const { runId, taskId, attempt } = about
      try {
        return await run(withPath(command, about.secretPath))
      } finally {
        // A preview belongs to no attempt whose end would end its leases, and its run may wait for days.
        if (attempt === 0)
          await store.write((tx) => commands.ended(tx, { runId, taskId, reason: 'its preview was taken' }))
      }
    },
    ended: commands.ended,
  }
}

function withPath(
  command: Parameters<SandboxedForConnectors['run']>[1],
  secretPath: string | null,
): LentCommand {
  const { secrets = [], ...rest } = command
  if (secrets.length === 0) return rest
  if (secretPath === null)
    throw new AppError(
      'connector.unauthorized',
      'the connection has no secret; `keyward connections change` gives it one',
    )
  return { ...rest, secrets: secrets.map((secret) => ({ ...secret, secretPath })) }
}
