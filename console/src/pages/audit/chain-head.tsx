import { useQuery } from '@tanstack/react-query'
import { Link2, ShieldCheck, ShieldQuestion, ShieldX } from 'lucide-react'
import { auditHeadQuery } from '../../api/queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Command, Digest } from '../../ui/copy.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { type Check, verifyHead } from './verify-entry.ts'

const looks: Record<Check, Look> = {
  match: { hue: 'ok', icon: ShieldCheck, text: 'Signature checked here' },
  mismatch: { hue: 'bad', icon: ShieldX, text: 'Signature does not fit' },
  unavailable: { hue: 'calm', icon: ShieldQuestion, text: 'This browser cannot check it' },
}

/** The signed statement of how long the chain is, and how anybody can check the whole of it without this server. */
export function ChainHead() {
  const { data: head, error, refetch } = useQuery(auditHeadQuery)
  const { data: check } = useQuery({
    queryKey: ['audit-head-check', head?.signature],
    queryFn: () => (head ? verifyHead(head) : 'unavailable'),
    enabled: head !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  })
  if (error) {
    return (
      <div className="mb-5">
        <Failure error={error} retry={() => void refetch()} />
      </div>
    )
  }
  return (
    <Sheet className="mb-5 flex flex-wrap items-center gap-x-8 gap-y-3 px-5 py-4">
      <div className="flex min-w-0 flex-1 basis-64 items-start gap-3">
        <Link2 size={18} className="mt-0.5 shrink-0 text-brass" aria-hidden="true" />
        <div className="min-w-0">
          <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="font-semibold">
              Head of the chain: {head ? `entry ${head.seq.toLocaleString()}` : 'reading…'}
            </span>
            {check ? <Badge look={looks[check]} bare /> : null}
          </p>
          {head ? (
            <p className="flex flex-wrap items-center gap-x-3 text-[0.8125rem] text-muted">
              <Digest value={head.hash} what="the hash of the head" />
              <span>
                signed <Time at={head.at} />
              </span>
            </p>
          ) : (
            <span className="skeleton mt-2 block h-3 w-64" />
          )}
        </div>
      </div>
      <div className="text-[0.8125rem] text-muted">
        <p className="mb-1">Verify the whole chain, offline:</p>
        <Command text="keyward audit verify" />
      </div>
    </Sheet>
  )
}
