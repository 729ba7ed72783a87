import type { FindingView } from '@keyward/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { FolderSearch, ShieldCheck } from 'lucide-react'
import { useState } from 'react'
import { findingsQuery } from '../../api/finding-queries.ts'
import { findingQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Filters, useFilter } from './filters.tsx'
import { FindingDetail } from './finding-detail.tsx'
import { FindingGroup } from './finding-group.tsx'
import { LatestScan } from './latest-scan.tsx'
import { findingRooms } from './rooms.ts'
import { ScanDialog } from './scan-dialog.tsx'
import { TriageBar } from './triage-bar.tsx'

const route = getRouteApi('/findings')

export function FindingsPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [scanning, setScanning] = useState(false)
  const { filter, sort, state } = useFilter()
  const list = useInfiniteQuery(findingsQuery(filter, sort))
  const findings = list.data?.pages.flatMap(({ items }) => items) ?? []
  const select = (finding: string | undefined): void =>
    void navigate({ search: (kept) => ({ ...kept, finding }), resetScroll: false })
  const { finding: _, pick: __, state: ___, sort: ____, ...narrowed } = search
  return (
    <>
      <PageHeader
        title="Findings"
        lead="Secrets that stand where they should not. One value is one finding, however often it appears; values are masked everywhere."
        actions={
          <Button icon={FolderSearch} onClick={() => setScanning(true)}>
            Scan a folder
          </Button>
        }
      >
        <RoomTabs label="Rooms of the findings" rooms={findingRooms} />
      </PageHeader>
      <LatestScan />
      <Filters />
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton label="Loading findings" /> : null}
      {list.data && findings.length === 0 ? (
        <Nothing
          state={state}
          narrowed={Object.values(narrowed).some(Boolean)}
          onScan={() => setScanning(true)}
        />
      ) : null}
      {findings.length > 0 ? (
        <div className="flex gap-5">
          <div className="min-w-0 flex-1">
            <Groups findings={findings} selected={search.finding} onSelect={select} />
            <LoadMore more={list} />
          </div>
          {search.finding ? <Detail id={search.finding} onClose={() => select(undefined)} /> : null}
        </div>
      ) : null}
      <ScanDialog open={scanning} onClose={() => setScanning(false)} />
    </>
  )
}

type GroupsProps = { findings: FindingView[]; selected: string | undefined; onSelect: (id: string) => void }

function Groups({ findings, selected, onSelect }: GroupsProps) {
  const { pick = [] } = route.useSearch()
  const navigate = route.useNavigate()
  const projects = Map.groupBy(findings, ({ project }) => project)
  const change = (next: string[]): void =>
    void navigate({
      search: (kept) => ({ ...kept, pick: next.length > 0 ? next : undefined }),
      replace: true,
      resetScroll: false,
    })
  return (
    <>
      <TriageBar
        findings={findings}
        picked={findings.filter(({ id }) => pick.includes(id))}
        onPick={change}
      />
      {[...projects].map(([project, own]) => (
        <FindingGroup
          key={project}
          project={project}
          findings={own}
          picked={pick}
          onPick={change}
          selected={selected}
          onSelect={onSelect}
        />
      ))}
    </>
  )
}

function Detail({ id, onClose }: { id: string; onClose: () => void }) {
  const { data: finding, error, refetch } = useQuery(findingQuery(id))
  return (
    <DetailPanel title={finding?.title ?? 'Finding'} onClose={onClose}>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {finding ? (
        <FindingDetail key={finding.id} finding={finding} />
      ) : error ? null : (
        <Skeleton rows={3} label="Loading the finding" />
      )}
    </DetailPanel>
  )
}

type NothingProps = { state: string; narrowed: boolean; onScan: () => void }

function Nothing({ state, narrowed, onScan }: NothingProps) {
  if (narrowed || (state !== 'open' && state !== 'all')) {
    return (
      <Empty icon={ShieldCheck} title={narrowed ? 'No finding fits' : 'No finding is in this state'}>
        <p>Choose another filter above.</p>
      </Empty>
    )
  }
  return (
    <Empty icon={FolderSearch} title={state === 'open' ? 'No open finding' : 'Nothing has been found yet'}>
      <p>Scan a project to search its files and its git history. Scanning changes nothing.</p>
      <Button tone="solid" icon={FolderSearch} onClick={onScan}>
        Scan a folder
      </Button>
      <p>or, from a terminal in the project:</p>
      <Command text="keyward scan ." />
    </Empty>
  )
}
