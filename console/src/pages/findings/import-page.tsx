import { api, type ImportPreview } from '@keyward/contract'
import { useMutation, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { FileSearch, History, Play } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { importPreviewQuery } from '../../api/queries.ts'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { Digest } from '../../ui/copy.tsx'
import { FileDiff } from '../../ui/file-diff.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section } from '../../ui/page.tsx'
import { SecretMoves } from '../../ui/secret-moves.tsx'

const route = getRouteApi('/findings/import')

/** What would happen, before anything does. Starting it makes a run that still asks for approval. */
export function ImportPage() {
  const { pick = [] } = route.useSearch()
  const { data: preview, error, refetch } = useQuery(importPreviewQuery(pick))
  if (pick.length === 0) {
    return (
      <>
        <PageHeader title="Review the import" />
        <Empty icon={FileSearch} title="No finding is chosen">
          <p>Choose what to move into the vault from the list of findings.</p>
          <Link to="/findings" className={buttonStyle('solid')}>
            Go to the findings
          </Link>
        </Empty>
      </>
    )
  }
  return (
    <>
      <PageHeader
        title="Review the import"
        lead="The values go into the vault, and each file gets a reference in their place. An encrypted copy makes it reversible. Nothing happens before you approve the run."
        actions={preview ? <StartImport findingIds={pick} /> : null}
      />
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {preview ? <Review preview={preview} /> : error ? null : <Skeleton label="Reading the files again" />}
    </>
  )
}

function Review({ preview }: { preview: ImportPreview }) {
  const { secrets, files, historyOnly } = preview
  return (
    <>
      <p className="mb-6 flex flex-wrap items-center gap-x-3 gap-y-1 text-[0.8125rem] text-muted">
        <span>
          Project <strong className="font-medium text-ink">{preview.project}</strong>
        </span>
        <span className="inline-flex items-center gap-1.5">
          Digest <Digest value={preview.digest} what="the digest of this preview" />
        </span>
      </p>
      {historyOnly.length > 0 ? <HistoryOnly preview={preview} /> : null}
      <Section
        title={
          secrets.length === 1
            ? 'One secret goes into the vault'
            : `${secrets.length} secrets go into the vault`
        }
      >
        <SecretMoves moves={secrets} />
      </Section>
      <Section title={files.length === 1 ? 'One file changes' : `${files.length} files change`}>
        {files.length === 0 ? <p className="text-muted">No file is rewritten.</p> : null}
        <div className="flex flex-col gap-4">
          {files.map((change) => (
            <FileDiff key={change.file} change={change} />
          ))}
        </div>
      </Section>
    </>
  )
}

function HistoryOnly({ preview: { historyOnly, secrets } }: { preview: ImportPreview }) {
  const titles = historyOnly.map((id) => secrets.find(({ findingId }) => findingId === id)?.title ?? id)
  return (
    <div className="mb-6 flex items-start gap-3 rounded-xl border border-wait/40 bg-wait-wash px-4 py-3.5">
      <History size={18} className="mt-0.5 shrink-0 text-wait" aria-hidden="true" />
      <div>
        <p className="font-semibold text-wait">
          {historyOnly.length === 1
            ? 'One secret stands only in the git history'
            : `${historyOnly.length} secrets stand only in the git history`}
        </p>
        <p className="text-pretty">
          The history is not rewritten, so whoever has a clone has the value: rotate it at its provider.{' '}
          {titles.join(', ')}.
        </p>
      </div>
    </div>
  )
}

function StartImport({ findingIds }: { findingIds: string[] }) {
  const navigate = useNavigate()
  const [idempotencyKey] = useState(newKey)
  const start = useMutation({
    mutationFn: () => call(api.runs.start, { flow: 'leaked-key', input: { findingIds }, idempotencyKey }),
    onSuccess: ({ id }) => navigate({ to: '/runs/$runId', params: { runId: id } }),
  })
  return (
    <div className="flex flex-col items-end gap-2">
      <Button tone="solid" icon={Play} busy={start.isPending} onClick={() => start.mutate()}>
        Start the import
      </Button>
      {start.error ? <Failure error={start.error} /> : null}
    </div>
  )
}

/** One press of the button starts one run, however often the request is repeated. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return `console-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
