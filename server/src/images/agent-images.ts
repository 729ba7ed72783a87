import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { AppError, actorOf, type Principal } from '../core/index.ts'
import type { Reader, Store } from '../store/index.ts'
import { agentsOfImage, imageByName, imageOfAgent, putImageOfAgent } from './images-store.ts'

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  identity: {
    /** Undefined when there is none. */
    agent(agentId: string): Promise<object | undefined>
  }
}

export type AgentImages = {
  /** Null: the machine's own files. Throws `agent.not_found`, `image.not_found`. */
  assign(agentId: string, image: string | null, by: Principal): Promise<void>
  ofAgent(agentId: string): Promise<string | undefined>
}

/** In which image the commands of an agent run unless their task names another. */
export function createAgentImages({ store, audit, bus, identity }: Needs): AgentImages {
  return {
    async assign(agentId, image, by) {
      if (!(await identity.agent(agentId))) throw new AppError('agent.not_found', agentId)
      await store.write(async (tx) => {
        const row = image === null ? undefined : await imageByName(tx, image)
        if (image !== null && !row) throw noImage(image)
        const before = (await imageOfAgent(tx, agentId)) ?? null
        await putImageOfAgent(tx, agentId, image)
        const target = `agent:${agentId}`
        await audit.record(tx, {
          ...{ type: 'image.assigned', outcome: 'done', actor: actorOf(by), target, correlation: target },
          detail: { image, digest: row?.digest ?? null, before },
        })
        await bus.publish(tx, { type: 'image.assigned', subject: target })
      })
    },
    ofAgent: (agentId) => imageOfAgent(store, agentId),
  }
}

export const noImage = (name: string): AppError =>
  new AppError('image.not_found', `There is no image "${name}". keyward sandbox image list shows them.`)

/** What agents run in is not taken from under them. Throws `image.in_use`. */
export async function assertNobodys(reader: Reader, name: string): Promise<void> {
  const agents = await agentsOfImage(reader, name)
  if (agents.length > 0)
    throw new AppError(
      'image.in_use',
      `Commands of ${agents.join(', ')} run in the image "${name}". Give them another with keyward agents image.`,
    )
}
