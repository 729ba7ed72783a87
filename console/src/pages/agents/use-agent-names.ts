import { useInfiniteQuery } from '@tanstack/react-query'
import { agentsQuery } from '../../api/queries.ts'

/** The name of an agent, as far as the list is read; else its id. */
export function useAgentNames(): (agentId: string) => string {
  const { data } = useInfiniteQuery(agentsQuery)
  const names = new Map(data?.pages.flatMap(({ items }) => items).map(({ id, name }) => [id, name]))
  return (agentId) => names.get(agentId) ?? agentId
}
