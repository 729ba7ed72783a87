import { api } from '@keyward/contract'
import { type Client, everyItem } from './client.ts'

/** An agent by its name or id. */
export async function agentIdOf(client: Client, written: string): Promise<string> {
  // A name has no underscore; and an agent, who knows its own id, may not see the others.
  if (written.startsWith('agt_')) return written
  for await (const agent of everyItem((paging) => client.call(api.agents.list, paging)))
    if (agent.name === written || agent.id === written) return agent.id
  // The server says that there is none, in the words of every other command.
  return written
}
