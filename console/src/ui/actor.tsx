import { useQuery } from '@tanstack/react-query'
import { sessionQuery } from '../api/queries.ts'

const shortIds = 16

/** Who did or asked something, as the audit log writes it; the person at the screen is “you”. */
export function Actor({ id }: { id: string }) {
  const { data: session } = useQuery(sessionQuery)
  if (session?.principal === id) return <span title={id}>you</span>
  const [kind = '', name = ''] = id.split(/:(.*)/)
  if (name.length <= shortIds) return <span>{id}</span>
  return (
    <span title={id}>
      {kind}:{name.slice(0, 4)}…{name.slice(-6)}
    </span>
  )
}
