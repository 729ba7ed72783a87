import type { LeaseView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { CornerDownRight } from 'lucide-react'
import { relatedLeasesQuery } from '../../api/queries.ts'
import { Badge, leaseLook } from '../../ui/badge.tsx'
import { destinationText } from '../../ui/destination.ts'
import { Failure } from '../../ui/notice.tsx'
import { ReceiptView } from '../../ui/receipt.tsx'

/** What was passed on of a lease, and what of that. */
export function LeaseParts({ lease: { id, state } }: { lease: LeaseView }) {
  const { data, error, refetch } = useQuery(relatedLeasesQuery({ parentId: id }))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return null
  if (data.length === 0)
    return state === 'active' ? <p className="text-xs text-muted">It may pass parts of this on.</p> : null
  return (
    <ul className="flex flex-col gap-2">
      {data.map((part) => (
        <Part key={part.id} part={part} />
      ))}
    </ul>
  )
}

function Part({ part }: { part: LeaseView }) {
  return (
    <li className="flex gap-2 text-[0.8125rem]">
      <CornerDownRight size={15} aria-hidden="true" className="mt-1 shrink-0 text-muted" />
      <div className="flex min-w-0 flex-1 flex-col gap-1">
        <div className="flex flex-wrap items-center gap-2">
          <span>
            passed on to <span className="font-medium">{part.agentName}</span>
          </span>
          <Badge look={leaseLook[part.state]} />
        </div>
        <p className="text-pretty">{part.purpose}</p>
        <p className="break-words text-muted">only to {part.destinations.map(destinationText).join(', ')}</p>
        <ReceiptView receipt={part.receipt} />
        {part.delegable ? <LeaseParts lease={part} /> : null}
      </div>
    </li>
  )
}
