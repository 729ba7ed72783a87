import { eventNames } from '@keyward/contract'
import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { ScrollText, X } from 'lucide-react'
import { auditQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { Choice } from '../../ui/field.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader } from '../../ui/page.tsx'
import { eventText } from './audit-line.tsx'
import { AuditTable } from './audit-table.tsx'
import { ChainHead } from './chain-head.tsx'
import { EntryDetail } from './entry-detail.tsx'

const route = getRouteApi('/audit')
const types = [['all', 'Everything'], ...eventNames.map((name) => [name, eventText(name)] as const)] as const

export function AuditPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const log = useInfiniteQuery(auditQuery(search.type, search.correlation))
  const entries = log.data?.pages.flatMap(({ items }) => items) ?? []
  const select = (seq: number | undefined): void =>
    void navigate({
      search: (kept) => ({ ...kept, entry: seq === undefined ? undefined : String(seq) }),
      resetScroll: false,
    })
  const selected = entries.find(({ seq }) => String(seq) === search.entry)
  return (
    <>
      <PageHeader
        title="Audit"
        lead="Everything that was asked, allowed, refused and done. Each entry carries the hash of the one before, so nothing can be changed or taken out unseen."
      />
      {log.error ? null : <ChainHead />}
      <Filters type={search.type ?? 'all'} correlation={search.correlation} />
      {log.error ? <Failure error={log.error} retry={() => void log.refetch()} /> : null}
      {log.isPending ? <Skeleton rows={9} label="Loading the audit log" /> : null}
      {log.data && entries.length === 0 ? <Nothing /> : null}
      {entries.length > 0 ? (
        <div className="flex gap-5">
          <AuditTable entries={entries} selected={selected?.seq} onSelect={select} more={log} />
          {selected ? (
            <DetailPanel title={`Entry ${selected.seq}`} onClose={() => select(undefined)}>
              <EntryDetail entry={selected} previous={entries.find(({ seq }) => seq === selected.seq - 1)} />
            </DetailPanel>
          ) : null}
        </div>
      ) : null}
    </>
  )
}

function Filters({ type, correlation }: { type: string; correlation: string | undefined }) {
  const navigate = route.useNavigate()
  return (
    <div className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-2">
      <Choice
        label="Show"
        value={type}
        options={types}
        onChange={(value) =>
          void navigate({
            search: (kept) => ({ ...kept, type: value === 'all' ? undefined : value }),
            replace: true,
          })
        }
      />
      {correlation ? (
        <Button
          size="small"
          icon={X}
          className="max-w-full"
          onClick={() =>
            void navigate({ search: (kept) => ({ ...kept, correlation: undefined }), replace: true })
          }
        >
          <span className="truncate">Only what belongs to {correlation}</span>
        </Button>
      ) : null}
    </div>
  )
}

function Nothing() {
  return (
    <Empty icon={ScrollText} title="No entry matches">
      <p>Choose “Everything”, or look from the command line:</p>
      <Command text="keyward audit list" />
    </Empty>
  )
}
