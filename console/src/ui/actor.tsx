import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { peopleQuery, sessionQuery } from '../api/queries.ts'

const shortIds = 16

/** Who did or asked something: a person by name where that is known, others as the audit log writes it; who looks is “you”. */
export function Actor({ id }: { id: string }) {
  const { data: session } = useQuery(sessionQuery)
  const [kind = '', name = ''] = id.split(/:(.*)/)
  const { data: people } = useInfiniteQuery({ ...peopleQuery, enabled: kind === 'person', staleTime: 60_000 })
  if (session?.principal === id) return <span title={id}>you</span>
  const person = people?.pages.flatMap(({ items }) => items).find((one) => one.id === name)
  if (kind === 'person' && person) return <span title={id}>{person.name}</span>
  if (name.length <= shortIds) return <span>{id}</span>
  return (
    <span title={id}>
      {kind}:{name.slice(0, 4)}…{name.slice(-6)}
    </span>
  )
}
