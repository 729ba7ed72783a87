import type { AuditEntry, Json } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { TriangleAlert } from 'lucide-react'
import { misuseQuery } from '../../api/queries.ts'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'

const shown = 5

/** Placeholders that the agent sent where they were not lent for; nothing when there were none. */
export function AgentAlerts({ agentId }: { agentId: string }) {
  const { data, error, refetch } = useQuery(misuseQuery)
  if (error) return <Failure error={error} retry={() => void refetch()} />
  const mine = data?.items.filter(({ actor }) => actor === `agent:${agentId}`) ?? []
  if (mine.length === 0) return null
  return (
    <section className="rounded-lg border border-line bg-sunken px-3 py-3">
      <h3 className="mb-2 flex items-center gap-2 font-medium">
        <TriangleAlert size={16} aria-hidden="true" className="text-bad" />
        It misused placeholders
      </h3>
      <ul className="flex flex-col gap-1.5 text-[0.8125rem]">
        {mine.slice(0, shown).map((entry) => (
          <li key={entry.id} className="wrap-anywhere">
            <span className="text-muted">
              <Time at={entry.at} />:{' '}
            </span>
            {reasonIn(entry)}
          </li>
        ))}
      </ul>
      {mine.length > shown ? (
        <p className="mt-2 text-xs text-muted">And {mine.length - shown} more, in the audit log.</p>
      ) : null}
    </section>
  )
}

function reasonIn({ detail, target }: AuditEntry): string {
  const fields: { [name: string]: Json } =
    typeof detail === 'object' && detail !== null && !Array.isArray(detail) ? detail : {}
  return typeof fields['reason'] === 'string' ? fields['reason'] : target
}
