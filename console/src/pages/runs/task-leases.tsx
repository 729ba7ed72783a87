import type { RunDetail } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { relatedLeasesQuery } from '../../api/queries.ts'
import { Badge, leaseLook } from '../../ui/badge.tsx'
import { Failure } from '../../ui/notice.tsx'
import { ReceiptView } from '../../ui/receipt.tsx'

/** What was lent for a task, and whether it was shown that it is over. */
export function TaskLeases({ run, taskId }: { run: RunDetail; taskId: string }) {
  const { data, error, refetch } = useQuery(relatedLeasesQuery({ runId: run.id }))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  const leases = data?.filter((lease) => lease.taskId === taskId) ?? []
  if (leases.length === 0) return null
  return (
    <div>
      <h3 className="mb-1.5 text-xs text-muted">Lent for it</h3>
      <ul className="flex flex-col gap-2.5">
        {leases.map((lease) => (
          <li key={lease.id} className="flex flex-col gap-1">
            <div className="flex flex-wrap items-center gap-2 text-[0.8125rem]">
              <code className="break-all">{lease.secretPath}</code> to {lease.agentName}
              <Badge look={leaseLook[lease.state]} />
            </div>
            <ReceiptView receipt={lease.receipt} />
          </li>
        ))}
      </ul>
    </div>
  )
}
