import type { AuditEntry } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ShieldCheck, ShieldQuestion, ShieldX } from 'lucide-react'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Digest } from '../../ui/copy.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { Facts } from '../../ui/page.tsx'
import { ExactTime } from '../../ui/time.tsx'
import { eventText, outcomeLook } from './audit-line.tsx'
import { type Check, verifyEntry } from './verify-entry.ts'

const looks: Record<Check, Look> = {
  match: { hue: 'ok', icon: ShieldCheck, text: 'Recomputed in this browser: it fits' },
  mismatch: { hue: 'bad', icon: ShieldX, text: 'Recomputed in this browser: it does not fit' },
  unavailable: { hue: 'calm', icon: ShieldQuestion, text: 'Can be recomputed on https or localhost only' },
}

type Props = { entry: AuditEntry; previous: AuditEntry | undefined }

export function EntryDetail({ entry, previous }: Props) {
  const { data: check } = useQuery({
    queryKey: ['audit-entry-check', entry.seq, entry.hash],
    queryFn: () => verifyEntry(entry),
    staleTime: Number.POSITIVE_INFINITY,
  })
  return (
    <div className="flex flex-col gap-5">
      <div>
        <p className="text-base font-semibold">{eventText(entry.type)}</p>
        <p className="mt-1">
          <Badge look={outcomeLook[entry.outcome]} />
        </p>
      </div>
      <Facts
        facts={[
          ['When', <ExactTime key="at" at={entry.at} />],
          ['Who', <code key="actor">{entry.actor}</code>],
          ['On what', <code key="target">{entry.target}</code>],
          ['Belongs to', <Correlation key="correlation" id={entry.correlation} />],
        ]}
      />
      <div>
        <h3 className="mb-1.5 text-xs text-muted">Detail</h3>
        <JsonView value={entry.detail} label={`Detail of entry ${entry.seq}`} />
      </div>
      <div className="border-t border-line pt-4">
        <h3 className="mb-2 font-medium">Its place in the chain</h3>
        <Facts
          facts={[
            ['Hash', <Digest key="hash" value={entry.hash} what="the hash" />],
            [
              'Hash of the entry before',
              <Digest key="previous" value={entry.previous} what="the hash of the entry before" />,
            ],
          ]}
        />
        <p className="mt-3">{check ? <Badge look={looks[check]} bare /> : null}</p>
        {previous ? <PreviousFits fits={previous.hash === entry.previous} seq={previous.seq} /> : null}
      </div>
    </div>
  )
}

function PreviousFits({ fits, seq }: { fits: boolean; seq: number }) {
  const look: Look = fits
    ? { hue: 'ok', icon: ShieldCheck, text: `Follows entry ${seq} without a gap` }
    : { hue: 'bad', icon: ShieldX, text: `Does not follow entry ${seq}` }
  return (
    <p className="mt-1">
      <Badge look={look} bare />
    </p>
  )
}

function Correlation({ id }: { id: string }) {
  if (id === '') return 'Nothing else'
  return (
    <Link
      to="/audit"
      search={{ correlation: id }}
      className="break-all underline decoration-edge underline-offset-3 hover:decoration-ink"
    >
      <code>{id}</code>
    </Link>
  )
}
